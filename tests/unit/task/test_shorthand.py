"""The short form and what it is expanded to."""

from __future__ import annotations

from typing import Any

import pytest

from qnb.errors import ConfigError
from qnb.task.spec import load_task

SHORT = """\
market: ~/data/cn_data
region: cn
experiment: mine
universe: csi300
model: {lightgbm: {num_leaves: 64}}
features: Alpha158
segments: {train: [2008-01-01, 2014-12-31], valid: [2015-01-01, 2016-12-31], test: [2017-01-01, 2020-08-01]}
strategy: {topk: 20, n_drop: 2}
costs: {open: 0.001, close: 0.002}
benchmark: SH000300
"""


def test_ten_lines_are_a_whole_task() -> None:
    task = load_task(SHORT)
    assert task.settings == {"provider_uri": "~/data/cn_data", "region": "cn"}
    assert task.experiment == "mine"
    assert task.model == {"class": "lightgbm", "kwargs": {"num_leaves": 64}}
    assert task.dataset["class"] == "DatasetH"
    assert task.dataset["kwargs"]["handler"] == {
        "class": "Alpha158",
        "kwargs": {
            "start_time": "2008-01-01", "end_time": "2020-08-01", "fit_start_time": "2008-01-01",
            "fit_end_time": "2014-12-31", "instruments": "csi300",
        },
    }  # fmt: skip
    assert [r["class"] for r in task.records] == ["SignalRecord", "SigAnaRecord", "PortAnaRecord"]
    config = task.records[2]["kwargs"]["config"]
    assert config["strategy"]["kwargs"] == {"signal": "<PRED>", "topk": 20, "n_drop": 2}
    assert config["backtest"] == {
        "start_time": "2017-01-01", "end_time": "2020-08-01", "account": 100_000_000, "benchmark": "SH000300",
        "exchange_kwargs": {"open_cost": 0.001, "close_cost": 0.002, "min_cost": 5},
    }  # fmt: skip


def test_one_line_on_the_demo_market() -> None:
    task = load_task("model: lightgbm\n")
    assert task.settings == {"provider_uri": "demo"}
    assert task.dataset["kwargs"]["segments"] == {
        "train": ["2009-01-01", "2014-12-31"],
        "valid": ["2015-01-01", "2016-12-31"],
        "test": ["2017-01-01", "2020-12-31"],
    }
    assert task.dataset["kwargs"]["handler"]["kwargs"]["instruments"] == "demo"
    assert task.records[2]["kwargs"]["config"]["backtest"]["benchmark"] == "DMINDEX"
    other = load_task("market: demo:years=6\nmodel: lightgbm\n").dataset["kwargs"]["segments"]
    assert (other["train"][0], other["test"]) == ("2015-01-01", ["2019-01-01", "2020-12-31"])


def test_names_of_the_demo_market_are_those_of_its_generator() -> None:
    from qnb.data.demo import INDEX, UNIVERSE

    task = load_task("model: lightgbm\n")
    assert task.dataset["kwargs"]["handler"]["kwargs"]["instruments"] == UNIVERSE
    assert task.records[2]["kwargs"]["config"]["backtest"]["benchmark"] == INDEX


def test_the_expanded_task_loads_to_the_same() -> None:
    task = load_task(SHORT)
    assert load_task(task.to_yaml()).hash == task.hash


def test_processors_suit_the_model() -> None:
    kwargs = load_task("model: linear\n").dataset["kwargs"]["handler"]["kwargs"]
    assert [p["class"] for p in kwargs["infer_processors"]] == ["RobustZScoreNorm", "Fillna"]
    assert [p["class"] for p in kwargs["learn_processors"]] == ["DropnaLabel", "CSRankNorm"]
    assert "infer_processors" not in load_task("model: lightgbm\n").dataset["kwargs"]["handler"]["kwargs"]
    text = "model: linear\nprocessors: {infer: [Fillna], learn: [DropnaLabel]}\n"
    assert load_task(text).dataset["kwargs"]["handler"]["kwargs"]["infer_processors"] == ["Fillna"]


def test_features_written_out() -> None:
    text = """\
model: lightgbm
features:
  MOM: $close/Ref($close, 20) - 1
  VOL: Std($close/Ref($close, 1) - 1, 20)
label: Ref($close, -5)/Ref($close, -1) - 1
"""
    task = load_task(text)
    handler = task.dataset["kwargs"]["handler"]
    assert handler["class"] == "DataHandlerLP"
    config = handler["kwargs"]["data_loader"]["kwargs"]["config"]
    assert config["feature"] == [["$close/Ref($close, 20) - 1", "Std($close/Ref($close, 1) - 1, 20)"], ["MOM", "VOL"]]
    assert config["label"] == [["Ref($close, -5)/Ref($close, -1) - 1"], ["LABEL0"]]
    loader = "task.dataset.kwargs.handler.kwargs.data_loader.kwargs.config"
    assert task.line_of(f"{loader}.feature.0.1") == 4
    problem = task.problem("x", f"{loader}.feature.0.1", offset=4)
    assert (problem.line, problem.column) == (4, 12)
    assert task.line_of(f"{loader}.label.0.0") == 5
    scaled = load_task(text.replace("lightgbm", "linear")).dataset["kwargs"]["handler"]["kwargs"]["infer_processors"][0]
    assert scaled["kwargs"]["fit_end_time"] == "2014-12-31"
    listed = load_task("model: lightgbm\nfeatures: [$close, $open]\n").dataset["kwargs"]["handler"]["kwargs"]
    assert listed["data_loader"]["kwargs"]["config"]["feature"] == [["$close", "$open"], ["$close", "$open"]]


def test_label_of_a_feature_set() -> None:
    task = load_task("model: lightgbm\nlabel: Ref($close, -6)/Ref($close, -1) - 1\n")
    assert task.dataset["kwargs"]["handler"]["kwargs"]["label"] == ["Ref($close, -6)/Ref($close, -1) - 1"]
    assert task.line_of("task.dataset.kwargs.handler.kwargs.label.0") == 2


def test_no_strategy_no_backtest() -> None:
    assert [r["class"] for r in load_task("model: lightgbm\nstrategy:\n").records] == ["SignalRecord", "SigAnaRecord"]


def test_full_components_are_taken_as_they_are() -> None:
    text = """\
model:
  class: LGBModel
  module_path: qlib.contrib.model.gbdt
  kwargs: {max_depth: 3}
strategy: {class: TopkDropoutStrategy, kwargs: {topk: 5, n_drop: 1}}
backtest: {account: 1000000, exchange_kwargs: {deal_price: open}}
"""
    task = load_task(text)
    assert task.model["kwargs"] == {"max_depth": 3}
    config = task.records[2]["kwargs"]["config"]
    assert config["strategy"]["kwargs"] == {"topk": 5, "n_drop": 1, "signal": "<PRED>"}
    assert config["backtest"]["account"] == 1_000_000
    assert config["backtest"]["exchange_kwargs"] == {
        "open_cost": 0.0005, "close_cost": 0.0015, "min_cost": 5, "deal_price": "open",
    }  # fmt: skip


def test_set_on_short_and_on_full_keys() -> None:
    overrides = ("strategy.topk=7", "model.lightgbm.num_leaves=8", "task.model.kwargs.max_depth=4", "universe=csi500")
    task = load_task(SHORT, overrides=overrides)
    assert task.records[2]["kwargs"]["config"]["strategy"]["kwargs"]["topk"] == 7
    assert task.model["kwargs"] == {"num_leaves": 8, "max_depth": 4}
    assert task.dataset["kwargs"]["handler"]["kwargs"]["instruments"] == "csi500"


@pytest.mark.parametrize(
    ("old", "new", "line", "message", "remedy"),
    [
        ("universe:", "univers:", 4, "unknown key 'univers'", "'universe'"),
        ("lightgbm:", "lightgmb:", 5, "no model 'lightgmb'", "'lightgbm'"),
        ("num_leaves:", "num_leave:", 5, "LGBModel takes no argument 'num_leave'", "'num_leaves'"),
        ("Alpha158", "Alpha159", 6, "no handler 'Alpha159'", "'Alpha158'"),
        ("topk: 20", "topk: many", 8, "topk of TopkDropoutStrategy must be a whole number", ""),
        ("{open:", "{opne:", 9, "unknown key 'opne' in costs", "'open'"),
        ("region: cn", "region: mars", 2, "unknown region 'mars'", ""),
    ],
)
def test_mistakes_have_the_line_of_the_short_text(old: str, new: str, line: int, message: str, remedy: str) -> None:
    assert SHORT.count(old) == 1
    with pytest.raises(ConfigError) as caught:
        load_task(SHORT.replace(old, new))
    (problem,) = caught.value.problems
    assert message in problem.message
    assert remedy in problem.remedy
    assert problem.line == line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("features: Alpha158\n", "task without a model"),
        ("market: ~/data\nmodel: lightgbm\nbenchmark: X\n", "segments are missing"),
        (
            "market: ~/data\nmodel: lightgbm\nsegments: {train: [2008, 2009], test: [2010, 2011]}\n",
            "benchmark is missing",
        ),
        ("market: csi300\nmodel: lightgbm\nbenchmark: X\nsegments: {}\n", "market says where the data is"),
        ("model: lightgbm\nsegments: 3\n", "segments must be a mapping"),
        ("model: lightgbm\nfeatures: 3\n", "features cannot be 3"),
        ("model: lightgbm\ncosts: 3\n", "costs must be a mapping"),
    ],
)
def test_what_is_missing(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_task(text)
    assert message in caught.value.problems[0].message


def test_networks_are_told_how_many_features_arrive() -> None:
    from qnb.task.catalogue import names

    if "LSTM" not in names("model"):
        pytest.skip("needs a network")

    def kwargs(text: str) -> Any:
        return load_task(text).model.get("kwargs", {})

    assert kwargs("model: LSTM\nfeatures: Alpha360\n")["d_feat"] == 6
    assert kwargs("model: LSTMTS\nfeatures: Alpha158\n")["d_feat"] == 158
    assert kwargs("model: {LSTM: {d_feat: 3}}\nfeatures: Alpha360\n")["d_feat"] == 3
    task = load_task("model: LSTMTS\nfeatures: {A: $close, B: $open}\n")
    assert (task.model["kwargs"]["d_feat"], task.dataset["class"]) == (2, "TSDatasetH")
