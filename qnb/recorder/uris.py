"""Tracking URIs: what they point at."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["address_of", "local_path", "sqlite_path"]

_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


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
