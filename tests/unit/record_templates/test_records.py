"""Record templates: what they leave, what they need, what they tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb import registry
from qnb.config import Settings, use_settings
from qnb.errors import BacktestError, ConfigError, DataError, EmptyDataError, ModelError, RecorderError
from qnb.events import ArtifactSaved, Event, LogLine, MetricLogged, Progress
from qnb.record_templates import Recorded, RecordTemplate
from qnb.record_templates.multi_pass_portfolio_analysis import MultiPassPortAnaRecord
from qnb.record_templates.portfolio_analysis import PortAnaRecord
from qnb.record_templates.signal import SignalRecord
from qnb.record_templates.signal_analysis import SigAnaRecord
from qnb.recorder import Recorder
from qnb.recorder.facade import RecorderFacade
from qnb.training.context import FitContext

CALENDAR = pd.bdate_range("2020-01-01", periods=40)
NAMES = [f"SH{600000 + k}" for k in range(12)]
INDEX = pd.MultiIndex.from_product([pd.DatetimeIndex(CALENDAR, freq=None), NAMES], names=["datetime", "instrument"])


class Model:
    """Predicts what it is given."""

    def __init__(self, pred: Any) -> None:
        self.pred = pred

    def predict(self, dataset: Any) -> Any:
        return self.pred


class Labels:
    """A dataset that has only labels."""

    def __init__(self, label: Any) -> None:
        self.label = label

    def prepare(self, segments: str, *, col_set: str, data_key: str) -> pd.DataFrame:
        assert (segments, col_set, data_key) == ("test", "label", "raw")
        if isinstance(self.label, Exception):
            raise self.label
        return self.label


def scores(seed: int = 0) -> pd.Series:
    """Random scores of every day and instrument."""
    return pd.Series(np.random.default_rng(seed).normal(size=len(INDEX)).astype("float32"), INDEX, name="score")


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of twelve instruments and an index on forty days, in the format that is read in place."""
    folder = tmp_path_factory.mktemp("market")
    (folder / "calendars").mkdir()
    (folder / "calendars" / "day.txt").write_text("\n".join(d.strftime("%Y-%m-%d") for d in CALENDAR) + "\n")
    (folder / "instruments").mkdir()
    spans = "".join(f"{n}\t{CALENDAR[0]:%Y-%m-%d}\t{CALENDAR[-1]:%Y-%m-%d}\n" for n in NAMES)
    (folder / "instruments" / "all.txt").write_text(spans)
    random = np.random.default_rng(7)
    for name in [*NAMES, "SH000300"]:
        close = 10 * np.exp(np.cumsum(random.normal(0, 0.01, len(CALENDAR))))
        change = np.concatenate(([np.nan], close[1:] / close[:-1] - 1))
        fields = {"close": close, "change": change, "factor": np.ones(len(close)), "volume": np.full(len(close), 1e6)}
        (folder / "features" / name.lower()).mkdir(parents=True)
        for field, values in {**fields, "open": close, "high": close, "low": close}.items():
            data = np.concatenate(([0.0], values)).astype("<f4")
            data.tofile(folder / "features" / name.lower() / f"{field}.day.bin")
    return folder


@pytest.fixture
def run(market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A run in memory, with predictions and labels, on that market."""
    monkeypatch.setattr("qnb.config._current", None)
    use_settings(Settings().with_(provider_uri=str(market), recorder_uri="memory:records", work_dir=tmp_path))
    facade = RecorderFacade()
    with facade.start(experiment_name="records"):
        recorder = facade.get_recorder()
        recorder.save_objects(**{"pred.pkl": scores().to_frame(), "label.pkl": scores(1).rename("LABEL0").to_frame()})
        yield recorder


def config(**kwargs: Any) -> dict[str, Any]:
    """A portfolio of the best four by turns of one."""
    strategy = {"class": "TopkDropoutStrategy", "kwargs": {"signal": "<PRED>", "topk": 4, "n_drop": 1, **kwargs}}
    return {"strategy": strategy, "backtest": {"account": 1e6, "benchmark": "SH000300"}}


def told(record: RecordTemplate) -> list[Event]:
    """Generate `record` and return its events."""
    events: list[Event] = []
    record.generate(emit=events.append)
    return events


def test_signal_record_saves_predictions_and_labels(run: Recorder) -> None:
    label = scores(2).rename("LABEL0").to_frame()
    events = told(SignalRecord(Model(scores(3)), Labels(label), run))
    assert [e.name for e in events if isinstance(e, ArtifactSaved)] == ["pred.parquet", "label.parquet"]
    pd.testing.assert_frame_equal(run.load_object("pred.pkl"), scores(3).to_frame("score"))
    pd.testing.assert_frame_equal(run.load_object("label.pkl"), label)


def test_a_model_that_takes_it_is_given_the_context_of_the_run(run: Recorder) -> None:
    seen: list[Any] = []

    class Attentive(Model):
        def predict(self, dataset: Any, segment: str = "test", *, context: Any = None) -> Any:
            seen.append(context)
            return scores(3)

    context = FitContext(threads=1, stage="predict")
    SignalRecord(Attentive(None), object(), run).generate(context=context)
    SignalRecord(Model(scores(3)), object(), run).generate(context=context)
    SignalRecord(Attentive(None), object(), run).generate()
    assert seen == [context, None]


@pytest.mark.parametrize("dataset", [object(), Labels(DataError("the raw data was dropped"))])
def test_without_labels_there_are_predictions(run: Recorder, dataset: Any) -> None:
    events = told(SignalRecord(Model(scores(3).rename(None)), dataset, run))
    assert [e.name for e in events if isinstance(e, ArtifactSaved)] == ["pred.parquet"]
    assert list(run.load_object("pred")) == ["score"]
    assert any("was dropped" in e.text for e in events if isinstance(e, LogLine)) == isinstance(dataset, Labels)


@pytest.mark.parametrize(
    ("pred", "error", "words"),
    [
        (np.zeros(3), ModelError, r"Model\.predict returned a ndarray"),
        (pd.Series([1.0]), ModelError, "index"),
        (scores()[:0], EmptyDataError, "predicted nothing"),
    ],
)
def test_a_model_that_returns_no_scores_is_told(run: Recorder, pred: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        SignalRecord(Model(pred), object(), run).generate()


def test_signal_analysis_is_the_daily_correlation(run: Recorder) -> None:
    events = told(SigAnaRecord(run, ana_long_short=True))
    ic, ric = run.load_object("sig_analysis/ic.pkl"), run.load_object("sig_analysis/ric.pkl")
    days = pd.DataFrame({"p": scores(), "l": scores(1)}).groupby("datetime")
    expected = days.apply(lambda d: d["p"].astype(float).corr(d["l"].astype(float)))
    np.testing.assert_allclose(ic, expected, rtol=1e-12)
    np.testing.assert_allclose(ric, days.apply(lambda d: d["p"].corr(d["l"], method="spearman")), rtol=1e-12)
    metrics = run.list_metrics()
    assert metrics["IC"] == pytest.approx(expected.mean())
    assert metrics["ICIR"] == pytest.approx(expected.mean() / expected.std())
    both = run.load_object("sig_analysis/long_short_r.pkl")
    assert metrics["Long-Short Ann Sharpe"] == pytest.approx(both.mean() / both.std() * 252**0.5)
    assert {e.name for e in events if isinstance(e, MetricLogged)} == set(metrics)
    assert all(e.step is None for e in events if isinstance(e, MetricLogged)), "final figures are no curves"


def test_signal_analysis_takes_the_label_it_is_told(run: Recorder) -> None:
    two = pd.DataFrame({"A": scores(5), "B": scores()})
    run.save_objects(**{"label.pkl": two})
    SigAnaRecord(run, label_col=1).generate()
    assert run.list_metrics()["IC"] == pytest.approx(1.0)
    with pytest.raises(ConfigError, match="label_col is 2, and there are 2 labels: A, B"):
        SigAnaRecord(run, label_col=2).generate()


def test_a_label_without_a_value_is_told(run: Recorder) -> None:
    run.save_objects(**{"label.pkl": scores().to_frame() * np.nan})
    with pytest.raises(EmptyDataError, match="both a score and a label"):
        SigAnaRecord(run).generate()
    assert run.list_artifacts("sig_analysis") == []


@pytest.mark.parametrize("record", [SigAnaRecord, PortAnaRecord, MultiPassPortAnaRecord])
def test_what_is_missing_is_named_with_the_record_that_leaves_it(run: Recorder, record: Any) -> None:
    facade = RecorderFacade()
    with facade.start(experiment_name="records", recorder_name="bare"):
        bare = facade.get_recorder()
        message = rf"{record.__name__} needs pred\.pkl, which run bare does not have; put SignalRecord before it"
        with pytest.raises(RecorderError, match=message):
            record(bare).generate()


def test_a_record_without_a_recorder_says_so() -> None:
    with pytest.raises(RecorderError, match="SigAnaRecord has no recorder"):
        SigAnaRecord(None).generate()


def test_portfolio_analysis_leaves_its_tables_and_metrics(run: Recorder) -> None:
    events = told(PortAnaRecord(run, config()))
    names = ["indicator_analysis", "indicators_normal", "orders", "port_analysis", "positions_normal", "report_normal"]
    assert run.list_artifacts("portfolio_analysis") == [f"portfolio_analysis/{n}_1day.parquet" for n in names]
    report = run.load_object("portfolio_analysis/report_normal_1day.pkl")
    analysis = run.load_object("portfolio_analysis/port_analysis_1day.pkl")
    excess = report["return"] - report["bench"] - report["cost"]
    metrics = run.list_metrics()
    assert metrics["1day.excess_return_with_cost.mean"] == pytest.approx(excess.mean(), rel=1e-12)
    assert metrics["1day.excess_return_with_cost.annualized_return"] == pytest.approx(excess.mean() * 238, rel=1e-12)
    assert analysis.loc[("excess_return_with_cost", "std"), "risk"] == pytest.approx(excess.std(), rel=1e-12)
    assert len([m for m in metrics if m.startswith("1day.excess_return_")]) == 10
    assert {"1day.ffr", "1day.pa", "1day.pos"} <= set(metrics)
    progress = [e for e in events if isinstance(e, Progress)]
    assert progress[-1].step == progress[-1].total == len(report)
    orders = run.load_object("portfolio_analysis/orders_1day.pkl")
    assert {"datetime", "instrument", "side", "requested", "executed", "reason"} <= set(orders.columns)


def test_a_portfolio_that_exists_can_be_left_alone(run: Recorder) -> None:
    PortAnaRecord(run, config()).generate()
    assert told(PortAnaRecord(run, config(topk=2), skip_existing=True)) == []
    assert told(PortAnaRecord(run, config(topk=2))) != []


def test_the_signal_may_be_a_model_and_a_dataset(run: Recorder) -> None:
    told(PortAnaRecord(run, config()))
    expected = run.list_metrics()["1day.excess_return_with_cost.mean"]
    told(PortAnaRecord(run, config(signal=[Model(scores()), object()])))
    assert run.list_metrics()["1day.excess_return_with_cost.mean"] == expected
    told(PortAnaRecord(run, config(signal=[Model(scores(9)), object()])))
    assert run.list_metrics()["1day.excess_return_with_cost.mean"] != expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"risk_analysis_freq": "week"}, "risk_analysis_freq 'week'"),
        ({"indicator_analysis_freq": ["day", "30min"]}, "indicator_analysis_freq '30min'"),
        ({"indicator_analysis_method": "median"}, "valid: mean, amount_weighted, value_weighted"),
        ({"pass_num": 0}, "received 0"),
        ({"config": {"strategy": {"class": "X", "kwargs": {}}}}, "write signal: <PRED>"),
    ],
)
def test_wrong_arguments_are_told_before_anything_runs(arguments: dict[str, Any], words: str) -> None:
    record = MultiPassPortAnaRecord if {"pass_num", "config"} & set(arguments) else PortAnaRecord
    with pytest.raises(ConfigError, match=words):
        record(None, **arguments)


def test_a_backtest_that_cannot_be_run_leaves_nothing(run: Recorder) -> None:
    wrong = config() | {"backtest": {"benchmrk": "SH000300"}}
    with pytest.raises(BacktestError, match="did you mean 'benchmark'"):
        PortAnaRecord(run, wrong).generate()
    assert run.list_artifacts("portfolio_analysis") == []


def test_several_passes_differ_by_their_first_day(run: Recorder) -> None:
    events = told(MultiPassPortAnaRecord(run, pass_num=3, config=config()))
    summary = run.load_object("portfolio_analysis/multi_pass_port_analysis_1day.pkl")
    kinds = ("excess_return_without_cost", "excess_return_with_cost")
    rows = {(k, m) for k in kinds for m in ("annualized_return", "information_ratio")}
    assert set(summary.index) == rows
    assert (summary["std"] > 0).all()
    metrics = run.list_metrics()
    key = "excess_return_with_cost.annualized_return"
    assert metrics[f"mean.{key}"] == pytest.approx(summary.loc[tuple(key.split(".")), "mean"])
    assert f"1day.{key}" in metrics, "the scores as they are were tested, too"
    assert "portfolio_analysis/report_normal_1day.parquet" in run.list_artifacts("portfolio_analysis")
    steps = [e.step for e in events if isinstance(e, Progress)]
    assert steps == sorted(steps)
    told(MultiPassPortAnaRecord(run, pass_num=3, config=config()))
    assert run.list_metrics()[f"mean.{key}"] == metrics[f"mean.{key}"], "the same seed, the same passes"


def test_passes_without_shuffling_are_all_the_same(run: Recorder) -> None:
    MultiPassPortAnaRecord(run, pass_num=2, shuffle_init_score=False, config=config()).generate()
    summary = run.load_object("portfolio_analysis/multi_pass_port_analysis_1day.pkl")
    assert (summary["std"] == 0).all()


def test_a_template_of_ones_own(run: Recorder) -> None:
    class Spread(RecordTemplate):
        artifact_path = "spread"
        needs = (("pred.pkl", "SignalRecord"),)

        def compute(self, emit: Any) -> Recorded:
            by_day = self.load("pred.pkl")["score"].groupby("datetime").std()
            return Recorded({"spread.pkl": by_day}, {"spread": float(by_day.mean())})

        def list(self) -> list[str]:
            return ["spread.pkl"]

    record = Spread(run, skip_existing=True)
    assert not record.is_there()
    record.generate()
    assert record.is_there()
    assert run.list_metrics()["spread"] == pytest.approx(run.load_object("spread/spread").mean())


def test_the_family_is_found_by_class_and_file_name() -> None:
    assert set(registry.members("record")) == {
        "SignalRecord",
        "SigAnaRecord",
        "PortAnaRecord",
        "MultiPassPortAnaRecord",
    }
    assert registry.find("record", "signal_analysis") is SigAnaRecord
    for member in registry.members("record").values():
        assert "recorder" in [p.name for p in registry.parameters(member)]
