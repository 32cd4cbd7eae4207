"""Row-by-row operators, their types, and the oddities that compat mode keeps and strict mode mends."""

from __future__ import annotations

import numpy as np
import pytest

from qnb.errors import ExpressionError
from qnb.expr.evaluate import evaluate
from qnb.expr.memory import MemorySource
from qnb.expr.parse import parse
from qnb.expr.plan import build_plan


@pytest.fixture
def one(calendar: np.ndarray) -> MemorySource:
    """One instrument with every kind of value."""
    x = np.array([1.0, -2.0, 0.0, np.nan, np.inf, 4.0], np.float32)
    y = np.array([2.0, -2.0, 0.0, 1.0, 3.0, np.nan], np.float32)
    big = np.array([1e9, 2e9, 3e9, 1.6e7, 1.7e7, 1e9], np.float32)
    return MemorySource(calendar, {"A": {"x": (0, x), "y": (0, y), "big": (0, big)}})


def values(source: MemorySource, text: str, mode: str = "compat") -> list[float]:
    return evaluate([text], source, source.rows(), mode=mode)[:, 0].tolist()  # type: ignore[arg-type]


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$x+$y", [3, -4, 0, NAN, INF, NAN]),
        ("$x-1", [0, -3, -1, NAN, INF, 3]),
        ("1-$x", [0, 3, 1, NAN, -INF, -3]),
        ("$x/$y", [0.5, 1, NAN, NAN, INF, NAN]),
        ("1/$x", [1, -0.5, INF, NAN, 0, 0.25]),
        ("-$x", [-1, 2, 0, NAN, -INF, -4]),
        ("Abs($x)", [1, 2, 0, NAN, INF, 4]),
        ("Sign($x)", [1, -1, 0, NAN, 1, 1]),
        ("Log($x)", [0, NAN, -INF, NAN, INF, np.log(np.float32(4))]),
        ("$x**2", [1, 4, 0, NAN, INF, 16]),
        ("Power($x,0.5)", [1, NAN, 0, NAN, INF, 2]),
        ("Greater($x,$y)", [2, -2, 0, NAN, INF, NAN]),
        ("Less($x,$y)", [1, -2, 0, NAN, 3, NAN]),
        ("$x>$y", [0, 0, 0, 0, 1, 0]),
        ("$x>=$y", [0, 1, 1, 0, 1, 0]),
        ("$x==$y", [0, 1, 1, 0, 0, 0]),
        ("$x!=$y", [1, 0, 0, 1, 1, 1]),
        ("~($x>0)", [0, 1, 1, 1, 0, 0]),
        ("($x>0)&($y>0)", [1, 0, 0, 0, 1, 0]),
        ("($x>0)|($y>0)", [1, 0, 0, 1, 1, 1]),
        ("If($x>0,$x,$y)", [1, -2, 0, 1, INF, 4]),
        ("If($x,1,2)", [1, 1, 2, 1, 1, 1]),  # NaN is not 0
        ("Select($y>0,$x)", [1, NAN, NAN, NAN, INF, NAN]),
        ("IsNull($x)", [0, 0, 0, 1, 0, 0]),
        ("IsInf($x)", [0, 0, 0, 0, 1, 0]),
        ("($x>0)+1", [2, 1, 1, 1, 2, 2]),
        ("($x>0)*$y", [2, 0, 0, 0, 3, NAN]),
        ("Ref($x,2)", [NAN, NAN, 1, -2, 0, NAN]),
        ("Ref($x,-2)", [0, NAN, INF, 4, NAN, NAN]),
        ("Ref($x>0,1)", [NAN, 1, 0, 0, 0, 1]),
        ("FFillNan($x)", [1, -2, 0, 0, INF, 4]),
        ("BFillNan($y)", [2, -2, 0, 1, 3, NAN]),
        ("Cut($x,2,-2)", [1, -2, 0, NAN, INF, 4]),
        ("Count($x,3)", [1, 2, 3, 2, 2, 2]),
    ],
)
def test_what_an_operator_makes_of_each_kind_of_value(one: MemorySource, text: str, expected: list[float]) -> None:
    np.testing.assert_array_equal(values(one, text), np.array(expected, np.float32))


def test_a_number_does_not_widen_a_field(one: MemorySource) -> None:
    assert values(one, "($big+1e-12)-$big")[0] == 0
    assert values(one, "($big+1)-$big")[0] == 0  # float32 has no 1e9 + 1
    assert values(one, "(Mean($big,1)+1)-Mean($big,1)")[0] == 1  # a rolling result is float64


@pytest.mark.parametrize(
    ("text", "compat", "strict"),
    [
        ("($x>0)+($y>0)", [1, 0, 0, 1, 1, 1], [2, 0, 0, 1, 2, 1]),
        ("Ref($x,0)", [1, 1, 1, 1, 1, 1], [1, -2, 0, NAN, INF, 4]),
        ("Delta($y,0)", [0, -4, -2, -1, 1, NAN], [0, 0, 0, 0, 0, NAN]),
    ],
)
def test_strict_mode_mends_what_is_odd(one: MemorySource, text: str, compat: list[float], strict: list[float]) -> None:
    np.testing.assert_array_equal(values(one, text), np.array(compat, np.float32))
    np.testing.assert_array_equal(values(one, text, "strict"), np.array(strict, np.float32))


def test_delta_lacks_the_first_day_asked_for_in_compat_mode(market: MemorySource) -> None:
    rows = market.rows(start=30)
    compat = evaluate(["Delta($close,3)"], market, rows)[:, 0]
    strict = evaluate(["Delta($close,3)"], market, rows, mode="strict")[:, 0]
    first = rows.days == 30
    assert np.isnan(compat[first]).all()
    assert np.isfinite(strict[first]).any()
    np.testing.assert_array_equal(compat[~first], strict[~first])


def test_history_without_a_window_starts_where_the_expressions_history_starts(market: MemorySource) -> None:
    rows = market.rows(start=60)
    of = {s: rows.codes == c for c, s in enumerate(rows.instruments)}
    close = market.data["AA"]["close"][1].astype(float)
    found = evaluate(["Max($close,0)", "Mean(Max($close,0),5)", "EMA($close,5)"], market, rows)
    from_start = np.fmax.accumulate(close[60:])
    np.testing.assert_allclose(found[of["AA"], 0], from_start, rtol=1e-6)
    earlier = np.fmax.accumulate(close[56:])  # the mean over 5 loads four rows more
    expected = [earlier[i : i + 5].mean() for i in range(len(earlier) - 4)]
    np.testing.assert_allclose(found[of["AA"], 1], expected, rtol=1e-6)
    strict = evaluate(["Max($close,0)"], market, rows, mode="strict")
    np.testing.assert_allclose(strict[of["AA"], 0], np.fmax.accumulate(close)[60:], rtol=1e-6)


@pytest.mark.parametrize("text", ["$x&$y", "And($x>0,$y)", "Not($x)", "~$x", "($x>0)|Mean($y,3)"])
def test_logic_of_numbers_is_refused_where_it_stands(text: str) -> None:
    with pytest.raises(ExpressionError, match="joins conditions") as caught:
        build_plan([parse(text)], texts=[text])
    assert caught.value.text == text
    assert text[caught.value.column - 1] in "$M"


def test_a_bare_figure_is_refused() -> None:
    with pytest.raises(ExpressionError, match=r"write P\(\$\$roe_q\)"):
        build_plan([parse("$close*$$roe_q")], texts=["$close*$$roe_q"])


def test_an_unknown_field_is_nan_beside_others(market: MemorySource, caplog: pytest.LogCaptureFixture) -> None:
    texts = ["$clsoe/$close", "Mean($clsoe,3)", "Count($clsoe,3)", "IdxMax($clsoe,3)", "$clsoe>$close", "$close"]
    found = evaluate(texts, market, market.rows())
    assert np.isnan(found[:, :4]).all()
    assert (found[:, 4] == 0).all()
    assert np.isfinite(found[:, 5]).any()
    assert "did you mean $close?" in caplog.text
