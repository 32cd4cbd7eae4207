"""The peer's old tuner file: every section, criterion and mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from qnb.errors import ConfigError
from qnb.tuning.old_schema import FACTORS, REPORT_TYPES, is_old_schema, read_pipeline

TEXT = """\
experiment: {name: old_one, tuner_class: QLibTuner}
qlib_client: {auto_mount: false, logging_level: INFO}
optimization_criteria:
  report_type: %s
  report_factor: %s
  optim_type: %s
tuner_pipeline:
  - model: {class: LGBModel, module_path: qlib.contrib.model.gbdt, space: LightGBMSpace}
    trainer: {class: RollingTrainer}
    strategy: {class: TopkAmountStrategy, space: TopkAmountStrategySpace}
    data_label: {space: QLibDataLabelSpace}
    max_evals: 4
  - model: {class: LinearModel, kwargs: {estimator: ridge}, space: LinearSpace}
    strategy: {class: TopkDropoutStrategy, kwargs: {topk: 30, n_drop: 3}}
time_period:
  rolling_period: 360
  train_start_date: 2015-01-01
  train_end_date: 2017-12-31
  validate_start_date: 2018-01-01
  validate_end_date: 2018-12-31
  test_start_date: 2019-01-01
  test_end_date: 2020-12-31
data:
  class: ALPHA158
  provider_uri: demo
  args: {start_date: 2015-01-01, end_date: 2020-12-31}
  filter:
    market: all
    filter_pipeline:
      - {class: NameDFilter, module_path: qlib.data.filter, args: {name_rule_re: "DM.*", fstart_time: 2018-01-01}}
backtest:
  normal_backtest_args: {verbose: false, limit_threshold: 0.095, account: 500000, benchmark: DMINDEX, deal_price: close}
  long_short_backtest_args: {topk: 50}
"""


def _read(text: str, tmp_path: Path) -> list:
    return read_pipeline(text, source="tuner.yaml", base_dir=tmp_path)[1]


def test_a_file_becomes_a_study_a_stage(tmp_path: Path) -> None:
    text = TEXT % ("excess_return_with_cost", "information_ratio", "max")
    assert is_old_schema(text)
    assert not is_old_schema("model: lightgbm\n")
    folder, (first, second) = read_pipeline(text, source="tuner.yaml", base_dir=tmp_path)
    assert folder == tmp_path / "old_one"
    assert (first.spec.trials, second.spec.trials) == (4, 10), "the peer's default is 10"
    names = {d.name for d in first.space.dimensions}
    assert {"num_leaves", "topk", "buffer_margin", "label"} <= names
    assert {d.name: d.labels for d in first.space.dimensions}["topk"] == (30, 35, 40)
    dataset = first.task.dataset["kwargs"]
    assert dataset["segments"]["valid"] == ["2018-01-01", "2018-12-31"]
    assert dataset["handler"]["class"] == "Alpha158"
    assert dataset["handler"]["kwargs"]["instruments"] == "all"
    assert dataset["handler"]["kwargs"]["filter_pipe"][0]["filter_type"] == "NameDFilter"
    config = first.task.records[2]["kwargs"]["config"]
    assert config["backtest"]["account"] == 500000
    assert config["backtest"]["exchange_kwargs"]["deal_price"] == "close"
    assert first.spec.validation.segment == "valid", "the peer compared on the test days"


@pytest.mark.parametrize("report_type", REPORT_TYPES)
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(("kind", "direction"), [("max", "maximize"), ("min", "minimize"), ("correlation",) * 2])
def test_every_criterion(report_type: str, factor: str, kind: str, direction: str, tmp_path: Path) -> None:
    text = TEXT % (report_type, factor, kind)
    if (report_type == "model") != factor.startswith("model_"):
        with pytest.raises(ConfigError, match=f"line 5: {report_type} has no factor '?{factor}"):
            _read(text, tmp_path)
        return
    objective = _read(text, tmp_path)[0].spec.objectives[0]
    assert (objective.metric, objective.direction) == (f"{report_type}.{factor}", direction)


def test_correlation_looks_for_one(tmp_path: Path) -> None:
    objective = _read(TEXT % ("model", "model_pearsonr", "correlation"), tmp_path)[0].spec.objectives[0]
    assert objective.value({"model.model_pearsonr": 0.3}) == pytest.approx(0.7)
    assert objective.optuna_direction == "minimize"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("report_type: model", "report_type: modle", r"line 4: unknown report_type 'modle'; did you mean 'model'"),
        ("optim_type: max", "optim_type: maxx", "line 6: unknown optim_type 'maxx'; did you mean 'max'"),
        ("LightGBMSpace", "LightGBMSpce", "line 8: no space 'LightGBMSpce'; did you mean 'LightGBMSpace'"),
        ("  train_end_date: 2017-12-31\n", "", "time_period has no train_end_date"),
        ("max_evals: 4", "max_evals: 0", "line 12: 0 trials"),
        ("backtest:", "backtets:", "unknown key 'backtets'; did you mean 'backtest'"),
    ],
)
def test_mistakes_have_their_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    text = TEXT % ("model", "model_score", "max")
    assert old in text
    with pytest.raises(ConfigError, match=said):
        _read(text.replace(old, new), tmp_path)
