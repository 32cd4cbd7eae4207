"""Tracking URIs: what they point at."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["ARTIFACTS", "address_of", "artifacts_beside", "local_path", "sqlite_path"]

ARTIFACTS = "mlruns"
"""Folder of artifacts beside an SQLite store."""
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


def artifacts_beside(store: Path, location: str) -> str:
    """Return where artifacts lie whose place an SQLite store keeps as an absolute path, after it was moved with them.

    Parameters
    ----------
    store : Path
        The store's file where it is now; artifacts lie in the folder ``mlruns`` beside it.
    location : str
        Artifact URI as the store has it.
    """
    folder = local_path(location)
    if folder is None or folder.is_relative_to(store.parent) or ARTIFACTS not in folder.parts:
        return location
    at = len(folder.parts) - 1 - folder.parts[::-1].index(ARTIFACTS)
    here = store.parent.joinpath(*folder.parts[at:])
    # A copy has its own; a store whose artifacts were kept elsewhere from the beginning has none beside it.
    return str(here) if here.exists() or not Path(*folder.parts[: at + 1]).exists() else location


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
