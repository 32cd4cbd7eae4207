"""Reads the text of a workflow file."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError, Problem

__all__ = ["workflow_text"]


def workflow_text(path: str | Path) -> str:
    """Return the text of a workflow file, which is UTF-8.

    Raises
    ------
    ConfigError
        There is no such file, or it cannot be read as text.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigError([Problem(f"no file {str(path)!r}", "give the path of a workflow YAML")])
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        remedy = "save it as text in UTF-8"
        raise ConfigError([Problem(f"{str(path)!r} is not UTF-8 text (byte {error.start})", remedy)]) from error
    except OSError as error:
        raise ConfigError([Problem(f"cannot read {str(path)!r}: {error.strerror}", "check its permissions")]) from error
