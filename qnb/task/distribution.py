"""How a value that is searched is written: with a tag, or as a plain mapping. A study allows it, a run does not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import nearest

__all__ = ["DISTRIBUTIONS", "RANGE_KEYS", "is_distribution", "is_number", "misspelt_key"]

DISTRIBUTIONS = ("!uniform", "!loguniform", "!int", "!logint", "!choice")
"""Tags of distributions."""

RANGE_KEYS = frozenset({"low", "high", "log", "step"})
"""Keys of a range in the plain form."""


def is_distribution(value: Any) -> bool:
    """Return whether `value` is a distribution, with a tag or in the plain form.

    Examples
    --------
    >>> is_distribution({"low": 1, "high": 9}), is_distribution({"low": "$low", "high": "$high"})
    (True, False)
    """
    if not isinstance(value, Mapping) or not value:
        return False
    if len(value) == 1 and next(iter(value)) in DISTRIBUTIONS:
        return True
    if set(value) == {"choices"}:
        return True
    plain = {"low", "high"} <= set(value) <= RANGE_KEYS
    return plain and any(is_number(value[k]) for k in ("low", "high"))


def is_number(value: Any) -> bool:
    """Return whether `value` is a number other than NaN, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def misspelt_key(value: Any) -> tuple[str, str] | None:
    """Return the wrong key of what would be a distribution but for that key, and the right one; None for all else.

    Examples
    --------
    >>> misspelt_key({"low": 0.1, "hihg": 0.3}), misspelt_key({"low": 0.1, "high": 0.3}), misspelt_key({"alpha": 1})
    (('hihg', 'high'), None, None)
    """
    if not isinstance(value, Mapping):
        return None
    right = {*RANGE_KEYS, "choices"}
    wrong = [key for key in value if key not in right]
    if len(wrong) != 1:
        return None
    near = nearest(str(wrong[0]), right - set(value), n=1)
    if near and is_distribution({near[0] if k == wrong[0] else k: v for k, v in value.items()}):
        return str(wrong[0]), near[0]
    return None
