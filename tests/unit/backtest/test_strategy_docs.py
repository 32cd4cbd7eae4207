"""The pages about strategies and the backtest say what is true: their code runs, their names exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from qnb.backtest import ExchangeSpec, Reason, backtest_from_config, run_backtest
from qnb.backtest.strategies.topk_dropout import TopkDropoutStrategy

DOCS = Path(__file__).parents[3] / "docs"
HOW_TO = (DOCS / "how_to" / "add_a_strategy.md").read_text(encoding="utf-8")
CONCEPT = (DOCS / "concepts" / "backtest.md").read_text(encoding="utf-8")


@pytest.fixture
def bench(market: Any) -> Any:
    return market(20 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.03, (30, 6)), axis=0)))


@pytest.mark.parametrize("name", ["InverseRank", "TopEqual", "TakeProfit"])
def test_strategies_of_the_how_to_run(bench: Any, tmp_path: Path, name: str) -> None:
    code = next(block for block in re.findall(r"```python\n(.*?)```", HOW_TO, re.DOTALL) if f"class {name}" in block)
    file = tmp_path / re.match(r"# (\w+\.py)", code)[1]  # type: ignore[index]
    file.write_text(code)
    pred = bench.scores(np.random.default_rng(1).normal(size=(30, 6))).to_frame()
    section = {"start_time": bench.days[0], "end_time": bench.days[-1], "account": 1e5, "benchmark": None,
               "exchange_kwargs": {"trade_unit": 1}}  # fmt: skip
    config = {
        "strategy": {"class": name, "module_path": str(file), "kwargs": {"signal": "<PRED>"}}, "backtest": section,
    }  # fmt: skip
    result = backtest_from_config(config, signal=pred, store=bench.store)
    assert (result.orders["side"] == "buy").any()
    assert (result.orders["side"] == "sell").any()
    again = backtest_from_config(config, signal=pred, store=bench.store)
    assert_frame_equal(again.orders, result.orders)


def test_the_page_names_every_reason_and_option() -> None:
    assert all(f"`{reason}`" in CONCEPT for reason in Reason)
    options = set(ExchangeSpec.__dataclass_fields__) - {"ffr_weight", "freq"}
    assert all(f"`{name}`" in CONCEPT for name in options)


def test_many_runs_on_the_same_quotes(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code = re.findall(r"```python\n(.*?)```", CONCEPT, re.DOTALL)[0]
    for date, day in (("2017-01-01", bench.days[0]), ("2020-08-01", bench.days[-1])):
        code = code.replace(date, str(day.date()))
    code = code.replace("quotes=quotes", 'quotes=quotes, benchmark="A"')
    pred = bench.scores(np.random.default_rng(1).normal(size=(30, 6)))
    exec(compile(code, "backtest.md", "exec"), {"pred": pred, "store": bench.store})
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert run_backtest(pred, store=bench.store, strategy=TopkDropoutStrategy(topk=2, n_drop=1), benchmark=None)
