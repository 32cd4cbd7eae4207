"""Rolling operators against plain implementations, window by window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from qnb.expr.evaluate import evaluate
from qnb.expr.memory import MemorySource

Window = Callable[[np.ndarray], float]


def columns(source: MemorySource, *texts: str, mode: str = "compat") -> dict[str, dict[str, np.ndarray]]:
    """Return each expression's values by instrument."""
    rows = source.rows()
    values = evaluate(texts, source, rows, threads=1, mode=mode)  # type: ignore[arg-type]
    return {t: {s: values[rows.codes == c, k] for c, s in enumerate(rows.instruments)} for k, t in enumerate(texts)}


def finite(window: np.ndarray) -> np.ndarray:
    return window[np.isfinite(window)]


def by_window(x: np.ndarray, n: int, function: Window) -> np.ndarray:
    """Apply `function` to the last n rows (all rows for 0) up to each row."""
    x = x.astype(np.float64)
    out = np.empty(len(x))
    for i in range(len(x)):
        out[i] = function(x[0 if n == 0 else max(0, i - n + 1) : i + 1])
    return out


def sum_(w: np.ndarray) -> float:
    return finite(w).sum() if len(finite(w)) else np.nan


def mean(w: np.ndarray) -> float:
    return finite(w).mean() if len(finite(w)) else np.nan


def std(w: np.ndarray) -> float:
    v = finite(w)
    return np.nan if len(v) < 2 else 0.0 if (v == v[0]).all() else float(v.std(ddof=1))


def argmax(w: np.ndarray) -> float:
    if not len(finite(w)):
        return np.nan
    gaps = np.flatnonzero(~np.isfinite(w))
    return float(gaps[0] if len(gaps) else w.argmax()) + 1


def argmin(w: np.ndarray) -> float:
    return argmax(-w)


def rank(w: np.ndarray) -> float:
    if not np.isfinite(w[-1]):
        return np.nan
    v = finite(w)
    return ((v < w[-1]).sum() + ((v == w[-1]).sum() + 1) / 2) / len(v)


def quantile(q: float) -> Window:
    return lambda w: float(np.quantile(finite(w), q)) if len(finite(w)) else np.nan


def mad(w: np.ndarray) -> float:
    v = finite(w)
    return float(np.abs(v - v.mean()).mean()) if len(v) else np.nan


def skew(w: np.ndarray) -> float:
    return float(pd.Series(finite(w)).skew()) if len(finite(w)) > 2 and np.ptp(finite(w)) > 0 else np.nan


def kurt(w: np.ndarray) -> float:
    return float(pd.Series(finite(w)).kurt()) if len(finite(w)) > 3 and np.ptp(finite(w)) > 0 else np.nan


def line(w: np.ndarray) -> tuple[float, float, float]:
    slots = np.arange(len(w), dtype=float)
    ok = ~np.isnan(w)
    if ok.sum() < 2 or np.isinf(w).any():
        return np.nan, np.nan, np.nan
    slope, intercept = np.polyfit(slots[ok], w[ok], 1)
    residual = w[-1] - slope * slots[-1] - intercept
    spread = w[ok].std(ddof=1)
    r = np.corrcoef(slots[ok], w[ok])[0, 1] ** 2 if spread > 2e-5 else np.nan
    return slope, r, residual


def wma(w: np.ndarray) -> float:
    ok, weight = np.isfinite(w), np.arange(1.0, len(w) + 1)
    return float((w[ok] * weight[ok]).sum() / weight[ok].sum()) if ok.any() else np.nan


def wma_compat(w: np.ndarray) -> float:
    ok, weight = np.isfinite(w), np.arange(1.0, len(w) + 1)
    return float(np.mean((weight / weight.sum() * np.where(ok, w, 0))[ok])) if ok.any() else np.nan


REFERENCES: dict[str, Window] = {
    "Sum({x},{n})": sum_,
    "Mean({x},{n})": mean,
    "Std({x},{n})": std,
    "Var({x},{n})": lambda w: std(w) ** 2,
    "Max({x},{n})": lambda w: finite(w).max() if len(finite(w)) else np.nan,
    "Min({x},{n})": lambda w: finite(w).min() if len(finite(w)) else np.nan,
    "IdxMax({x},{n})": argmax,
    "IdxMin({x},{n})": argmin,
    "Med({x},{n})": quantile(0.5),
    "Quantile({x},{n},0.3)": quantile(0.3),
    "Quantile({x},{n},1)": quantile(1.0),
    "Quantile({x},{n},0)": quantile(0.0),
    "Rank({x},{n})": rank,
    "Count({x},{n})": lambda w: float((~np.isnan(w)).sum()),
    "Mad({x},{n})": mad,
    "Skew({x},{n})": skew,
    "Kurt({x},{n})": kurt,
    "Slope({x},{n})": lambda w: line(w)[0],
    "Resi({x},{n})": lambda w: line(w)[2],
    "WMA({x},{n})": wma_compat,
}


@pytest.mark.parametrize("n", [4, 5, 20, 0])
@pytest.mark.parametrize("field", ["$close", "$volume/Ref($volume,1)"])
def test_a_rolling_operator_is_what_it_says_in_each_window(market: MemorySource, n: int, field: str) -> None:
    texts = {t.format(x=field, n=n): f for t, f in REFERENCES.items()}
    found = columns(market, field, *texts)
    for text, reference in texts.items():
        for symbol, x in found[field].items():
            expected = by_window(x, n, reference)
            np.testing.assert_allclose(found[text][symbol], expected, rtol=2e-5, atol=1e-7, err_msg=f"{text} {symbol}")


@pytest.mark.parametrize("n", [5, 20])
@pytest.mark.parametrize(("spread", "known"), [(1.9e-5, False), (2.1e-5, True), (6e-5, True)])
def test_r_squared_is_known_from_a_standard_deviation_of_2e_5_on(
    calendar: np.ndarray, n: int, spread: float, known: bool
) -> None:
    pattern = np.tile([0.0, 1.0, 2.0, 1.0, 3.0], 8)
    x = (pattern * spread / pattern[:n].std(ddof=1)).astype(np.float32)
    found = columns(MemorySource(calendar, {"AA": {"close": (0, x)}}), f"Rsquare($close,{n})")
    last = found[f"Rsquare($close,{n})"]["AA"][-1]
    assert last == pytest.approx(line(x[-n:].astype(np.float64))[1], rel=1e-4) if known else np.isnan(last)


@pytest.mark.parametrize("n", [5, 20])
def test_r_squared_is_masked_where_nothing_varies(market: MemorySource, n: int) -> None:
    found = columns(market, "$close", f"Rsquare($close,{n})", f"Rsquare($close*0+1,{n})")
    for symbol, x in found["$close"].items():
        expected = by_window(x, n, lambda w: line(w)[1])
        np.testing.assert_allclose(found[f"Rsquare($close,{n})"][symbol], expected, rtol=1e-4, atol=1e-7)
        assert np.isnan(found[f"Rsquare($close*0+1,{n})"][symbol]).all()


@pytest.mark.parametrize("n", [5, 20, 0])
def test_pairs_are_complete_or_left_out(market: MemorySource, n: int) -> None:
    left, right = "$close", "If($open>$close,$volume,$volume/0)"
    found = columns(market, left, right, f"Corr({left},{right},{n})", f"Cov({left},{right},{n})")
    for symbol in market.instruments():
        x, y = found[left][symbol].astype(float), found[right][symbol].astype(float)
        for i in range(len(x)):
            window = slice(0 if n == 0 else max(0, i - n + 1), i + 1)
            ok = np.isfinite(x[window]) & np.isfinite(y[window])
            a, b = x[window][ok], y[window][ok]
            cov = np.cov(a, b)[0, 1] if ok.sum() > 1 else np.nan
            np.testing.assert_allclose(found[f"Cov({left},{right},{n})"][symbol][i], cov, rtol=1e-4, atol=1e-3)
            still = n > 0 and min(std(x[window]), std(y[window])) <= 2e-5
            varies = ok.sum() > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
            corr = np.corrcoef(a, b)[0, 1] if varies and not still else np.nan
            np.testing.assert_allclose(found[f"Corr({left},{right},{n})"][symbol][i], corr, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("text", "options"), [("EMA($close,10)", {"span": 10}), ("Mean($close,0.2)", {"alpha": 0.2})])
def test_exponential_weights_decay_through_gaps(market: MemorySource, text: str, options: dict[str, float]) -> None:
    found = columns(market, "$close", text)
    for symbol, x in found["$close"].items():
        expected = pd.Series(x.astype(float)).ewm(**options, min_periods=1).mean()
        np.testing.assert_allclose(found[text][symbol], expected, rtol=1e-5)


def test_strict_mode_weighs_by_place(market: MemorySource) -> None:
    found = columns(market, "$close", "WMA($close,6)", mode="strict")
    for symbol, x in found["$close"].items():
        np.testing.assert_allclose(found["WMA($close,6)"][symbol], by_window(x, 6, wma), rtol=1e-5)


def test_a_constant_window_is_exact_after_huge_values(calendar: np.ndarray) -> None:
    x = np.full(60, 0.1, np.float32)
    x[10], x[25] = 3e12, -7e8
    source = MemorySource(calendar, {"A": {"close": (0, x)}})
    found = columns(source, "Std($close,5)", "Sum($close-$close,5)", "Slope($close,5)", "Mean($close,5)")
    quiet = slice(40, 60)
    assert (found["Std($close,5)"]["A"][quiet] == 0).all()
    assert (found["Slope($close,5)"]["A"][quiet] == 0).all()
    assert (found["Mean($close,5)"]["A"][quiet] == np.float32(0.1)).all()


def test_an_infinite_value_leaves_no_trace_after_its_window(calendar: np.ndarray) -> None:
    x = np.linspace(1, 2, 60).astype(np.float32)
    y = x.copy()
    y[20] = np.inf
    texts = (*(f"{o}($close,5)" for o in ("Slope", "Mean", "Std", "Resi", "Max")), "Corr($close,$close,5)")
    clean = columns(MemorySource(calendar, {"A": {"close": (0, x)}}), *texts)
    spoilt = columns(MemorySource(calendar, {"A": {"close": (0, y)}}), *texts)
    for text in texts:
        a, b = clean[text]["A"], spoilt[text]["A"]
        np.testing.assert_array_equal(a[:20], b[:20])
        np.testing.assert_array_equal(a[25:], b[25:])
    assert np.isnan(spoilt["Slope($close,5)"]["A"][20:25]).all()
    assert np.isfinite(spoilt["Mean($close,5)"]["A"][20:25]).all()
