"""Secrets: what counts as one, what is shown in its place, and where it is kept so that no other file holds it.

1. `masked` takes secrets out of a text that is shown, logged or recorded: passwords in URIs, and what stands in quotes
   behind a name such as ``token``.
2. A `Vault` is the folder ``.qnb/secrets`` of a project (mode 0700), a file a secret (mode 0600). `Vault.hide` moves
   what is secret in JSON values there: a URI keeps all but its password, an argument becomes ``secret:`` and a number.
   What it returns may be written, shown and recorded anywhere.
3. `Vault.reveal` puts the secrets back, in the process that needs them: now, later, or when a run is tried again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from .errors import PoolError
from .private import private_folder

__all__ = ["Vault", "is_secret", "masked", "shown"]

_WORDS = r"(?:password|passwd|passphrase|pwd|token|secret|api[_-]?key|access[_-]?key|private[_-]?key|credential)"
_PASSWORD = re.compile(
    r"(?P<head>\b[a-z][a-z0-9+.-]{0,30}://[^:/?#@\s'\"]*):(?!\d*(?:[/?#\s'\"]|$))[^@\s'\"]+@(?:[^@/:?#\s'\"]*@)*",
    re.IGNORECASE,
)
_QUERY = re.compile(rf"(?P<head>[?&][\w.-]{{0,40}}{_WORDS}[\w.-]*=)[^&#\s'\"]+", re.IGNORECASE)
_BEHIND = rf"(?P<word>{_WORDS}[\w-]*)(?P<mid>['\"]?\s*[=:]\s*%s)(?P<value>\"(?:\\.|[^\"\\\n])+\"|'(?:\\.|[^'\\\n])+'%s)"
_QUOTED = re.compile(_BEHIND % ("", ""), re.IGNORECASE)
_BARE = re.compile(_BEHIND % (r"|\s+", r"|[^\s&'\"]+"), re.IGNORECASE)
_URI = re.compile(r"\b[a-z][a-z0-9+.-]{0,30}://[^\s'\"<>]+", re.IGNORECASE)
_CONNECTION = re.compile(rf"{_WORDS}=(?!\*\*\*)\S", re.IGNORECASE)
_SECRET_NAME = re.compile(rf"(?:.*_)?{_WORDS}s?", re.IGNORECASE)
_NUMBERS = re.compile(r"password|passwd|passphrase|pwd", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BEFORE = re.compile(r"[\w-]*\Z")
_MARK = re.compile(r"secret:[0-9a-f]{12}")
_SHORTEST = 4
"""Characters from which on a secret is also found in the middle of a text."""


def masked(text: str, *, arguments: bool = False) -> str:
    """Return `text` with ``***`` in the place of secrets: passwords of URIs, and quoted text behind a secret's name.

    Parameters
    ----------
    text : str
        A URI, or any text with URIs in it (an error message, a code difference).
    arguments : bool
        Mask what stands behind a secret's name without quotes, too: ``--token=abc``, ``--token abc``, ``token: abc``.

    Examples
    --------
    >>> masked("postgresql://anna:geheim@db/tracking")
    'postgresql://anna:***@db/tracking'
    >>> masked("run.py --api-key abc123", arguments=True)
    'run.py --api-key ***'
    """
    if "://" in text:
        text = _QUERY.sub(r"\g<head>***", _PASSWORD.sub(r"\g<head>:***@", text))
    return (_BARE if arguments else _QUOTED).sub(_hidden, text)


def _hidden(found: re.Match[str]) -> str:
    before = _BEFORE.search(found.string, max(0, found.start() - 60), found.start())
    name = (before[0] if before else "") + found["word"]
    apart = found["mid"].isspace() and not name.startswith("-")  # two words of a sentence
    kept = apart or not is_secret(name) or _MARK.search(found[0]) or "{{" in found["value"]  # a variable to fill in
    return found[0] if kept else f"{found['word']}{found['mid']}***"


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Return whether an argument of that name holds a secret: ``token``, ``db_password``, ``apiKey``.

    Examples
    --------
    >>> is_secret("model.kwargs.api_key"), is_secret("tokenizer"), is_secret("token_file")
    (True, False, False)
    """
    last = _CAMEL.sub("_", name.rpartition(".")[2].replace("-", "_"))
    return _SECRET_NAME.fullmatch(last) is not None


def shown(name: str, value: Any) -> str:
    """Return the text of an argument's value as it may be recorded."""
    text = str(value)
    hidden = is_secret(name) and (isinstance(value, str) or _NUMBERS.search(name)) and not _MARK.fullmatch(text)
    return "***" if hidden and text else masked(text)


class Vault:
    """The secrets of a project.

    Parameters
    ----------
    folder : Path
        Where they are kept; made when there is one to keep.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, work_dir: Path) -> Vault:
        """Return that of the folder that holds ``.qnb``."""
        return cls(work_dir / ".qnb" / "secrets")

    @classmethod
    def beside(cls, directory: Path) -> Vault:
        """Return that of the project that a run's or study's directory is part of."""
        return cls(directory.parent.parent / "secrets")

    def hide(self, value: Any, *, name: str = "") -> Any:
        """Return JSON values without secrets, which are kept here.

        Parameters
        ----------
        name : str
            That of the argument which `value` is given to, if it is a secret's.
        """
        if isinstance(value, Mapping):
            own = "" if "class" in value else name  # a component is none, whatever it is given to
            return {k: self.hide(v, name=str(k) if is_secret(str(k)) else own) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide(v, name=name) for v in value]
        if isinstance(value, str):
            if name and value and not _MARK.fullmatch(value) and not re.fullmatch("<[^<>]+>", value):
                return self._mark(value)
            shown = self._without_passwords(value)
            return self._mark(value) if _CONNECTION.search(shown) and not _MARK.search(shown) else shown
        if isinstance(value, int | float) and not isinstance(value, bool) and _NUMBERS.search(name):
            return self._mark(value)
        return value

    def hide_text(self, text: str) -> str:
        """Return a text without the secrets that are kept here, and without the passwords of its URIs."""
        return self.cleaner()(self._without_passwords(text))

    def cleaner(self) -> Callable[[str], str]:
        """Return what takes the secrets that are kept now out of a text, a line of a log."""
        marks = {str(value): mark for mark, value in self._kept() if len(str(value)) >= _SHORTEST}
        if not marks:
            return masked
        either = "|".join(map(re.escape, sorted(marks, key=len, reverse=True)))
        known = re.compile(rf"(?<!\w)(?:{either})(?!\w)")
        return lambda text: masked(known.sub(lambda m: marks[m[0]], text))

    def reveal(self, value: Any) -> Any:
        """Return what was given to `hide`.

        A URI whose password is not here has none: who connects asks the usual places (``PGPASSFILE``, ``~/.pgpass``).

        Raises
        ------
        PoolError
            When an argument's secret is not here.
        """
        if isinstance(value, Mapping):
            return {k: self.reveal(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.reveal(v) for v in value]
        if not isinstance(value, str):
            return value
        if _MARK.fullmatch(value):
            kept = self._read(value.removeprefix("secret:"))
            if kept is None or "value" not in kept:
                raise PoolError(
                    f"{value} is not kept in {self.folder}; write the secret itself and submit the task anew"
                )
            return kept["value"]
        return _URI.sub(lambda m: self._with_password(m[0]), value) if "***" in value else value

    def _mark(self, value: Any) -> str:
        for mark, known in self._kept():
            if known == value and type(known) is type(value):
                return mark
        number = secrets.token_hex(6)
        self._write(number, {"value": value})
        return f"secret:{number}"

    def _without_passwords(self, text: str) -> str:
        def shown(found: re.Match[str]) -> str:
            uri, safe = found[0], masked(found[0])
            if safe != uri:
                self._write(_digest(safe), {"uri": uri})
            return safe

        return _URI.sub(shown, text) if "://" in text else text

    def _with_password(self, shown: str) -> str:
        if masked(shown) != shown or "***" not in shown:
            return shown
        kept = self._read(_digest(shown))
        if kept is not None and "uri" in kept:
            return str(kept["uri"])
        given = os.environ.get("QNB_RECORDER_URI", "")
        if masked(given) == shown:
            return given
        return re.sub(rf"([?&])[\w.-]*{_WORDS}[\w.-]*=\*\*\*&?", r"\1", shown.replace(":***@", "@")).rstrip("?&")

    def _kept(self) -> Iterator[tuple[str, Any]]:
        with contextlib.suppress(OSError):
            for path in sorted(self.folder.iterdir()):
                kept = self._read(path.stem) if path.suffix == ".json" and not path.name.startswith(".") else None
                if kept is not None and "value" in kept:
                    yield f"secret:{path.stem}", kept["value"]

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        if self._read(name) == content:
            return
        handle, temporary = tempfile.mkstemp(dir=private_folder(self.folder), prefix=".")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file)
            os.replace(temporary, self.folder / f"{name}.json")
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _digest(shown: str) -> str:
    return "uri-" + hashlib.blake2b(shown.encode(), digest_size=8).hexdigest()
