"""Alpha158: 158 factors of candlestick shape, price level and rolling behaviour of price and volume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["WINDOWS", "fields", "label", "vwap_label"]

WINDOWS = (5, 10, 20, 30, 60)
"""Rolling windows in days."""

_DEFAULT: Mapping[str, Any] = {
    "kbar": {},
    "price": {"windows": (0,), "feature": ("OPEN", "HIGH", "LOW", "VWAP")},
    "rolling": {},
}

_KBAR = {
    "KMID": "($close-$open)/$open",
    "KLEN": "($high-$low)/$open",
    "KMID2": "($close-$open)/($high-$low+1e-12)",
    "KUP": "($high-Greater($open, $close))/$open",
    "KUP2": "($high-Greater($open, $close))/($high-$low+1e-12)",
    "KLOW": "(Less($open, $close)-$low)/$open",
    "KLOW2": "(Less($open, $close)-$low)/($high-$low+1e-12)",
    "KSFT": "(2*$close-$high-$low)/$open",
    "KSFT2": "(2*$close-$high-$low)/($high-$low+1e-12)",
}

_UP = "Sum(Greater({x}-Ref({x}, 1), 0), {n})"
_DOWN = "Sum(Greater(Ref({x}, 1)-{x}, 0), {n})"
_MOVED = "(Sum(Abs({x}-Ref({x}, 1)), {n})+1e-12)"
_SWING = "Abs($close/Ref($close, 1)-1)*$volume"

_ROLLING = {
    "ROC": ("ROC", "Ref($close, {n})/$close"),
    "MA": ("MA", "Mean($close, {n})/$close"),
    "STD": ("STD", "Std($close, {n})/$close"),
    "BETA": ("BETA", "Slope($close, {n})/$close"),
    "RSQR": ("RSQR", "Rsquare($close, {n})"),
    "RESI": ("RESI", "Resi($close, {n})/$close"),
    "MAX": ("MAX", "Max($high, {n})/$close"),
    "LOW": ("MIN", "Min($low, {n})/$close"),
    "QTLU": ("QTLU", "Quantile($close, {n}, 0.8)/$close"),
    "QTLD": ("QTLD", "Quantile($close, {n}, 0.2)/$close"),
    "RANK": ("RANK", "Rank($close, {n})"),
    "RSV": ("RSV", "($close-Min($low, {n}))/(Max($high, {n})-Min($low, {n})+1e-12)"),
    "IMAX": ("IMAX", "IdxMax($high, {n})/{n}"),
    "IMIN": ("IMIN", "IdxMin($low, {n})/{n}"),
    "IMXD": ("IMXD", "(IdxMax($high, {n})-IdxMin($low, {n}))/{n}"),
    "CORR": ("CORR", "Corr($close, Log($volume+1), {n})"),
    "CORD": ("CORD", "Corr($close/Ref($close,1), Log($volume/Ref($volume, 1)+1), {n})"),
    "CNTP": ("CNTP", "Mean($close>Ref($close, 1), {n})"),
    "CNTN": ("CNTN", "Mean($close<Ref($close, 1), {n})"),
    "CNTD": ("CNTD", "Mean($close>Ref($close, 1), {n})-Mean($close<Ref($close, 1), {n})"),
    "SUMP": ("SUMP", f"{_UP}/{_MOVED}".replace("{x}", "$close")),
    "SUMN": ("SUMN", f"{_DOWN}/{_MOVED}".replace("{x}", "$close")),
    "SUMD": ("SUMD", f"({_UP}-{_DOWN})/{_MOVED}".replace("{x}", "$close")),
    "VMA": ("VMA", "Mean($volume, {n})/($volume+1e-12)"),
    "VSTD": ("VSTD", "Std($volume, {n})/($volume+1e-12)"),
    "WVMA": ("WVMA", f"Std({_SWING}, {{n}})/(Mean({_SWING}, {{n}})+1e-12)"),
    "VSUMP": ("VSUMP", f"{_UP}/{_MOVED}".replace("{x}", "$volume")),
    "VSUMN": ("VSUMN", f"{_DOWN}/{_MOVED}".replace("{x}", "$volume")),
    "VSUMD": ("VSUMD", f"({_UP}-{_DOWN})/{_MOVED}".replace("{x}", "$volume")),
}
"""Key of ``include`` and ``exclude`` -> stem of the column name and expression for a window of n days."""


def fields(config: Mapping[str, Any] | None = None) -> tuple[list[str], list[str]]:
    """Return the expressions and the names of the columns.

    Parameters
    ----------
    config : mapping, optional
        Which parts: ``kbar``; ``price`` with ``windows`` and ``feature``; ``volume`` with ``windows``; ``rolling``
        with ``windows``, ``include`` and ``exclude``. By default the 158.

    Examples
    --------
    >>> expressions, names = fields()
    >>> len(names), names[0], expressions[0]
    (158, 'KMID', '($close-$open)/$open')
    """
    chosen = _DEFAULT if config is None else config
    found: dict[str, str] = {}
    if "kbar" in chosen:
        found.update(_KBAR)
    if "price" in chosen:
        price = chosen["price"] or {}
        for name in price.get("feature", ("OPEN", "HIGH", "LOW", "CLOSE", "VWAP")):
            for n in price.get("windows", range(5)):
                found[f"{name.upper()}{n}"] = f"{_back('$' + name.lower(), n)}/$close"
    if "volume" in chosen:
        for n in (chosen["volume"] or {}).get("windows", range(5)):
            found[f"VOLUME{n}"] = f"{_back('$volume', n)}/($volume+1e-12)"
    if "rolling" in chosen:
        found.update(_rolling(chosen["rolling"] or {}))
    return list(found.values()), list(found)


def label() -> tuple[list[str], list[str]]:
    """Return the label: the return from tomorrow's close to the close after it."""
    return ["Ref($close, -2)/Ref($close, -1) - 1"], ["LABEL0"]


def vwap_label() -> tuple[list[str], list[str]]:
    """Return the label on the volume-weighted average price instead of the close."""
    return ["Ref($vwap, -2)/Ref($vwap, -1) - 1"], ["LABEL0"]


def _back(field: str, n: int) -> str:
    return f"Ref({field}, {n})" if n else field


def _rolling(config: Mapping[str, Any]) -> dict[str, str]:
    include: Iterable[str] = config.get("include") or _ROLLING
    exclude = config.get("exclude") or ()
    windows = config.get("windows", WINDOWS)
    return {
        f"{stem}{n}": text.replace("{n}", str(n))
        for key, (stem, text) in _ROLLING.items()
        if key in include and key not in exclude
        for n in windows
    }
