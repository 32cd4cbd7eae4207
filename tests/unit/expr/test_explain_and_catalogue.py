"""What is said of an expression, and operators of one's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from qnb.errors import ConfigError, ExpressionError, UnknownNameError
from qnb.expr import CrossSection, Element, MemorySource, Parameter, Series, catalogue
from qnb.expr.catalogue import operators, register_custom_ops, register_operator
from qnb.expr.evaluate import evaluate, evaluation_key
from qnb.expr.explain import explain
from qnb.expr.fingerprint import operator_fingerprint


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Registered operators are gone after each test."""
    yield
    catalogue.forget_operators({})
    catalogue._of_settings.clear()


@pytest.mark.parametrize(
    ("text", "left", "right", "future"),
    [
        ("$close", 0, 0, False),
        ("Mean($close,20)/Ref($close,5)", 19, 0, False),
        ("Ref($close,-2)/Ref($close,-1)-1", 0, 2, True),
        ("Mean(Ref($close,-2),5)", 4, 2, True),
        ("EMA($close,12)", None, 0, False),
        ("BFillNan($close)", 0, None, True),
        ("DayLast($close)", 0, 0, True),
        ("DayCumsum($close)", 0, 0, False),
        ("P(Mean($$roe_q,4))", 0, 0, False),
        ("TResample($close,'M','sum')", 0, 0, False),
    ],
)
def test_window_and_future_are_told(text: str, left: int | None, right: int | None, future: bool) -> None:
    found = explain(text)
    assert (found.left, found.right, found.reads_future) == (left, right, future)
    assert ("YES" in str(found)) is future


def test_an_explanation_is_readable() -> None:
    text = str(explain("Corr($close, Log($volume+1), 20)"))
    assert "$close, $volume" in text
    assert "19 rows back" in text
    assert "Corr, Log" in text
    assert explain("CSRank($close)").cross_section
    assert explain("P($$roe_q)").figures == ("roe_q",)
    with pytest.raises(ExpressionError, match="joins conditions"):
        explain("$close & $open")


def test_equal_terms_cost_once() -> None:
    assert explain("Std($close,5)/Std($close,5)").nanoseconds < 2 * explain("Std($close,5)").nanoseconds


def test_ones_own_operators_of_each_family(market: MemorySource) -> None:
    @register_operator
    class Cube(Element):
        """The third power."""

        signature = (Parameter("x", "operand"),)

        def compute(self, x: np.ndarray) -> np.ndarray:
            return x * x * x

    @register_operator
    class Span(Series):
        """Largest less smallest value of the last n rows."""

        signature = (Parameter("x", "series"), Parameter("n", "rows"))

        def compute(self, x: np.ndarray, n: int) -> np.ndarray:
            windows = [x[max(0, i - n + 1) : i + 1] for i in range(len(x))]
            return np.array([w.max() - w.min() for w in windows])

    @register_operator
    class CSShare(CrossSection):
        """Share of the day's sum."""

        signature = (Parameter("x", "series"),)

        def compute(self, values: np.ndarray, cells: np.ndarray, count: int, *numbers: float) -> np.ndarray:
            known = np.nan_to_num(values)
            return values / np.bincount(cells, weights=known, minlength=count)[cells]

    rows = market.rows(start=30)
    texts = ["$close", "Cube($close)", "Span($close, 4)", "CSShare($close)", "Mean(Span(Cube($close),2),3)"]
    found = evaluate(texts, market, rows)
    np.testing.assert_allclose(found[:, 1], found[:, 0] ** 3, rtol=1e-5)
    close = market.data["AA"]["close"][1].astype(float)
    own = rows.codes == rows.instruments.index("AA")
    expected = [np.ptp(close[d - 3 : d + 1]) for d in rows.days[own]]
    np.testing.assert_allclose(found[own, 2], expected, rtol=1e-5)
    day = rows.days == 100
    np.testing.assert_allclose(np.nansum(found[day, 3]), 1, rtol=1e-5)
    assert explain("Span($close,4)").left == 3
    assert explain("Mean(Span(Cube($close),2),3)").left == 3


def test_an_operator_takes_the_place_of_a_built_in_one_and_changes_the_key(market: MemorySource) -> None:
    rows = market.rows()
    keys = {evaluation_key(["Abs($close)"], market, rows)}
    for factor in (2, 3):

        class Abs(Element):
            """Something else."""

            signature = (Parameter("x", "series"),)
            scale = factor

            def compute(self, x: np.ndarray) -> np.ndarray:
                return x * self.scale

        register_operator(Abs)
        keys.add(evaluation_key(["Abs($close)"], market, rows))
        found = evaluate(["Abs($close)", "$close"], market, rows)
        np.testing.assert_allclose(found[:, 0], found[:, 1] * factor)
    assert len(keys) == 3
    assert operator_fingerprint(operators()["Mean"]) == ""


def test_operators_come_from_files_and_paths(tmp_path: Path, market: MemorySource) -> None:
    file = tmp_path / "my_ops.py"
    file.write_text(
        "from qnb.expr import Element, Parameter\n"
        "class Twice(Element):\n"
        "    signature = (Parameter('x', 'series'),)\n"
        "    def compute(self, x):\n"
        "        return x * 2\n"
    )
    register_custom_ops([f"{file}:Twice", "qnb.expr.operators.arithmetic.Abs"])
    found = evaluate(["Twice($close)", "$close"], market, market.rows())
    np.testing.assert_allclose(found[:, 0], found[:, 1] * 2)
    with pytest.raises((ConfigError, UnknownNameError)):
        register_custom_ops(["no.such.module.Operator"])


def test_what_is_no_operator_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no operator"):
        register_operator(int)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="cannot be the name"):
        register_operator(operators()["Abs"], name="not a name")


def test_reading_expressions_loads_nothing_heavy() -> None:
    code = (
        "import sys; import qnb.expr.parse, qnb.expr.explain, qnb.data.calendar, qnb.data.universe;"
        "import qnb.data.providers.qlib_bin, qnb.data.provider, qnb.data.facade;"
        "qnb.expr.explain.explain('Mean($close,5)');"
        "print([m for m in ('pandas','numba','llvmlite','scipy','torch','mlflow') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
