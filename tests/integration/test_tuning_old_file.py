"""A file of the peer's old tuner, end to end on the demo market: stages, both result files, an interruption."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest

from qnb.cli import main
from qnb.config import Settings, use_settings
from qnb.tuning.engine import manage
from qnb.tuning.events import EventReader, TrialEnded, TrialStarted
from qnb.tuning.old_schema import FACTORS, REPORT_TYPES, run_pipeline
from qnb.tuning.open import open_study
from qnb.tuning.plan import load_study
from qnb.tuning.studydir import StudyDir, list_studies

TEXT = """\
experiment: {name: old_one}
optimization_criteria: {report_type: excess_return_with_cost, report_factor: information_ratio, optim_type: max}
tuner_pipeline:
  - model: {class: LinearModel, module_path: qlib.contrib.model.linear, space: LinearSpace}
    strategy: {class: TopkAmountStrategy, space: TopkAmountStrategySpace}
    max_evals: 3
  - model: {class: LinearModel, kwargs: {estimator: ridge}, space: LinearSpace}
    data_label: {space: QLibDataLabelSpace}
    strategy: {class: TopkDropoutStrategy, kwargs: {topk: 8, n_drop: 1}}
    max_evals: 4
time_period: {train_start_date: 2017-01-01, train_end_date: 2018-12-31, validate_start_date: 2019-01-01,
  validate_end_date: 2019-12-31, test_start_date: 2020-01-01, test_end_date: 2020-12-31}
data: {class: ALPHA158, provider_uri: "demo:instruments=40,years=4", filter: {market: all}}
backtest: {normal_backtest_args: {limit_threshold: 0.095, account: 500000, benchmark: DMINDEX, deal_price: close}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QNB_WORK_DIR", str(tmp_path))
    made = tmp_path / "tuner.yaml"
    made.write_text(TEXT)
    return made


def _command(file: Path) -> list[str]:
    return ["tune", "-c", str(file), "--jobs", "1", "--threads", "1", "--quiet"]


def _ended(directory: StudyDir) -> Counter[int]:
    return Counter(e.trial for e in EventReader(directory.path).read_new() if isinstance(e, TrialEnded))


def test_it_leaves_both_files_and_runs_nothing_twice(file: Path) -> None:
    """Interrupted in the second stage, it goes on there; after its end it has nothing to do."""
    folder = file.parent / "old_one"
    settings = Settings.from_env()

    def in_the_second_stage() -> bool:
        found = list_studies(settings)
        return len(found) == 2 and sum(_ended(found[0]).values()) >= 2

    options = {"jobs": 1, "threads": 1}
    assert run_pipeline(file, settings, options=options, stop=in_the_second_stage) == "stopped"
    use_settings(settings)
    assert (folder / "0_LinearModel" / "local_best_params.json").exists()
    assert not (folder / "global_best_params.json").exists()
    first, done = list_studies(settings)[1], _ended(list_studies(settings)[0])
    before = (first.path / "events.ndjson").read_bytes()
    assert 2 <= len(done) < 4

    assert main(_command(file)) == 0
    second, again = list_studies(settings)
    assert again.path == first.path
    assert (first.path / "events.ndjson").read_bytes() == before, "a stage that is over is left alone"
    assert (sorted(_ended(first)), sorted(_ended(second))) == ([0, 1, 2], [0, 1, 2, 3])
    assert set(_ended(second).values()) == {1}, "no finished trial ran again"
    started = Counter(e.trial for e in EventReader(second.path).read_new() if isinstance(e, TrialStarted))
    assert all(started[number] == 1 for number in done)

    locals_ = [json.loads(p.read_text()) for p in sorted(folder.glob("*/local_best_params.json"))]
    best = json.loads((folder / "global_best_params.json").read_text())
    assert best["value"] == max(found["value"] for found in locals_)
    assert best["best_tuner_index"] == int(locals_[1]["value"] > locals_[0]["value"])
    assert locals_[0]["strategy_space"].keys() == {"topk", "buffer_margin"}
    assert locals_[0]["model_space"]["estimator"] == "ridge"
    assert locals_[1]["data_label_space"].keys() == {"labels"}

    marks = [(d.path / "events.ndjson").read_bytes() for d in (first, second)]
    assert main(_command(file)) == 0
    assert [(d.path / "events.ndjson").read_bytes() for d in (first, second)] == marks
    assert json.loads((folder / "global_best_params.json").read_text()) == best


def test_every_criterion_is_a_figure_of_a_real_trial(tmp_path: Path) -> None:
    names = [f"{t}.{f}" for t in REPORT_TYPES for f in FACTORS if (t == "model") == f.startswith("model_")]
    assert len(names) == 5 * 5 + 2
    text = (
        "market: demo:instruments=40,years=4\nmodel: {linear: {estimator: ridge, alpha: !choice [0.1, 1.0]}}\n"
        "strategy: {topk: 8, n_drop: 1}\nfeatures:\n  MOM: Ref($close, 1)/$close\n  V: $volume\n"
    )
    settings = Settings.from_env()
    plan = load_study(text, name="all", options={"trials": 1, "jobs": 1, "threads": 1, "metric": names})
    try:
        state = manage(open_study(plan, settings.with_(work_dir=tmp_path, **plan.task.settings)))
    finally:
        use_settings(settings)
    trial = state.trials[0]
    assert trial.state == "complete", trial.message
    found = dict(zip(names, trial.values, strict=True))
    assert all(map(math.isfinite, found.values()))
    for kind in REPORT_TYPES[:-1]:
        mean, std = found[f"{kind}.mean"], found[f"{kind}.std"]
        assert found[f"{kind}.annualized_return"] == pytest.approx(mean * 238)
        assert found[f"{kind}.information_ratio"] == pytest.approx(mean / std * math.sqrt(238))
        assert found[f"{kind}.max_drawdown"] <= 0
    halves = (found["pred_long.mean"] + found["pred_short.mean"]) / 2
    assert found["pred_long_short.mean"] == pytest.approx(halves), "half of the money long, half short"
    with_cost, without = (found[f"excess_return_{w}_cost.mean"] for w in ("with", "without"))
    assert with_cost < without
    assert -1 <= found["model.model_pearsonr"] <= 1
    assert found["model.model_score"] > 0
