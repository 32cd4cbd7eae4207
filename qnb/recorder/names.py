"""Names of params, metrics and tags as MLflow takes them."""

from __future__ import annotations

import hashlib
import logging
import re
from functools import lru_cache

from .base import KEY_LIMIT

__all__ = ["legal_name"]

_ILLEGAL = re.compile(r"[^/\w.\- :]")
_LOG = logging.getLogger("qnb.recorder")


@lru_cache(maxsize=4096)
def legal_name(kind: str, name: str) -> str:
    """Return the name under which `name` is recorded; the log says once when that is another one.

    Parameters
    ----------
    kind : str
        ``param``, ``metric`` or ``tag``, for the message.
    name : str
        As given. What MLflow does not take becomes ``_``; a name that is too long is cut and marked with its digest.

    Examples
    --------
    >>> legal_name("metric", "valid.IC")
    'valid.IC'
    >>> legal_name("metric", "l2@valid")
    'l2_valid'
    """
    key = _ILLEGAL.sub("_", name)
    key = "/".join("_" * max(1, len(part)) if part in ("", ".", "..") else part for part in key.split("/"))
    if len(key) > KEY_LIMIT:
        key = f"{key[: KEY_LIMIT - 9]}_{hashlib.blake2b(name.encode(), digest_size=4).hexdigest()}"
    if key != name:
        _LOG.warning("%s %r is recorded as %r; names hold letters, digits, blanks and _ - . : /", kind, name, key)
    return key
