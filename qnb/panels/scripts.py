"""The scripts and styles of panels, put together from the files beside this one."""

from __future__ import annotations

from pathlib import Path

__all__ = ["script", "style"]

_HERE = Path(__file__).parent


def script(*names: str, more: str = "") -> str:
    """Return the module of a panel: what all build their page with, then `more`, then the files `names`."""
    return _text("dom.js") + more + "".join(map(_text, names))


def style(*names: str) -> str:
    """Return the style sheets `names` as one."""
    return "".join(map(_text, names))


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
