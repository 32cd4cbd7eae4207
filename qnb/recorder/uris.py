"""Tracking URIs: what they point at, and their text without secrets."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["address_of", "local_path", "masked", "sqlite_path"]

_PASSWORD = re.compile(r"(?P<head>\b[a-z][a-z0-9+.-]*://[^:/?#@\s'\"]*):[^/?#@\s'\"]+@", re.IGNORECASE)
_ARGUMENT = re.compile(
    r"(?P<head>\b[\w.-]*(?:password|passwd|token|secret|api[_-]?key|access[_-]?key)[\w.-]*)(?P<mid>\s*[=:]\s*|\s+)"
    r"(?P<value>[^\s&'\"]+)",
    re.IGNORECASE,
)
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


def masked(text: str, *, arguments: bool = False) -> str:
    """Return `text` with the passwords of the URIs in it replaced by ``***``.

    Parameters
    ----------
    text : str
        A URI, or any text with URIs in it (a command line, a code difference).
    arguments : bool
        Mask values of arguments that are named like secrets, too: ``--token=abc``, ``password: abc``.

    Examples
    --------
    >>> masked("postgresql://anna:geheim@db/tracking")
    'postgresql://anna:***@db/tracking'
    >>> masked("run.py --api-key abc123", arguments=True)
    'run.py --api-key ***'
    """
    text = _PASSWORD.sub(r"\g<head>:***@", text)
    return _ARGUMENT.sub(r"\g<head>\g<mid>***", text) if arguments else text


def sqlite_path(uri: str) -> Path | None:
    """Return the file of an SQLite URI, absolute; None for any other URI and for SQLite in memory."""
    if not uri.startswith("sqlite:///"):
        return None
    text = uri.removeprefix("sqlite:///").partition("?")[0]
    if text in ("", ":memory:"):
        return None
    return Path(text).expanduser().absolute()


def local_path(uri: str) -> Path | None:
    """Return the folder that an artifact URI names on this machine; None where it is elsewhere."""
    if not uri:
        return None
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        from urllib.request import url2pathname

        return Path(url2pathname(parts.path))
    if "://" in uri or re.match(r"^[a-z][a-z0-9+.-]+:/", uri):
        return None
    return Path(uri)


def address_of(uri: str) -> tuple[str, int] | None:
    """Return (host, port) of a server's URI; None where there is no host to ask.

    Examples
    --------
    >>> address_of("https://tracking.example:8443/mlflow")
    ('tracking.example', 8443)
    """
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    try:
        port = parts.port
    except ValueError:
        return None
    if scheme not in _PORTS or not parts.hostname:
        return None
    return parts.hostname, port or _PORTS[scheme]
