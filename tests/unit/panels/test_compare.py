"""Comparisons: what differs, what is best, and when a difference may be called one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import qnb
from qnb.config import Settings
from qnb.errors import ConfigError, UnknownNameError
from qnb.panels.compare import RunPart, config_rows, metric_rows
from qnb.panels.compare_view import comparison_view
from qnb.panels.measures import measure_of
from qnb.panels.verdict import difference_of, verdict_of
from qnb.recorder.base import RunInfo

from .conftest import DAYS, finished_run


def _part(label: str, params: dict[str, str], metrics: dict[str, float]) -> RunPart:
    return RunPart(RunInfo(label, label, "1"), label, params, metrics)


def test_only_differing_keys_are_shown() -> None:
    parts = [
        _part("a", {"model.class": "A", "model.kwargs.n": "1", "QNB_X": "1"}, {}),
        _part("b", {"model.class": "A", "model.kwargs.n": "2", "model.kwargs.m": "3"}, {}),
    ]
    rows, keys = config_rows(parts)
    assert [(r.group, r.key, r.values) for r in rows] == [
        ("model.kwargs", "n", ("1", "2")), ("model.kwargs", "m", (None, "3")),
    ]  # fmt: skip
    assert keys == 3


def test_the_best_of_a_metric() -> None:
    depth = "1day.excess_return_with_cost.max_drawdown"
    parts = [
        _part("a", {}, {"IC": 0.05, "l2.valid": 0.9, depth: -0.2, "same": 1.0, "ICIR": 0.30001}),
        _part("b", {}, {"IC": 0.04, "l2.valid": 0.8, depth: -0.1, "same": 2.0, "ICIR": 0.30002}),
        _part("c", {}, {"IC": float("nan"), "seconds": 3.0}),
    ]
    best = {r.key: r.best for r in metric_rows(parts)}
    assert best == {"IC": 0, "l2.valid": 1, depth: 1, "same": None, "ICIR": None, "seconds": None}
    assert list(best)[:2] == ["IC", "ICIR"]


def test_t_of_the_daily_difference_by_hand() -> None:
    a, b = np.array([0.01, 0.03, -0.01, np.nan, 0.02]), np.array([0.00, 0.01, -0.01, 0.5, 0.03])
    found = difference_of(a, b)
    d = np.array([0.01, 0.02, 0.0, -0.01])
    assert found.days == 4
    assert found.mean == pytest.approx(d.mean())
    assert found.t == pytest.approx(d.mean() / (d.std(ddof=1) / 2))


def _verdict(*daily: np.ndarray) -> str:
    frame = pd.DataFrame(dict(enumerate(daily)))
    return verdict_of([f"run{k}" for k in range(len(daily))], frame, None, None, 0)[-1]


def test_the_verdict_follows_t() -> None:
    noise = np.random.default_rng(3).normal(size=(6, 500)) * 0.01
    assert "too little to call one better" in _verdict(noise[0], noise[1])
    assert "run1 is better" in _verdict(noise[0], noise[1] + 0.005)
    assert "+119.0" in _verdict(noise[0], noise[0] + 0.005 + noise[1] * 1e-6)
    assert "too few" in _verdict(noise[0, :40], noise[1, :40])
    assert "the same on every day" in _verdict(noise[0], noise[0])


def test_more_runs_need_a_higher_bar() -> None:
    rng = np.random.default_rng(0)
    pair = [rng.normal(size=400) * 0.01 for _ in range(2)]
    pair[1] += pair[0].mean() - pair[1].mean()
    step = 2.3 * float((pair[1] - pair[0]).std(ddof=1)) / 20  # t = 2.3: enough for two runs, not for eight
    pair[1] = pair[1] + step
    assert "is better" in _verdict(*pair)
    others = [rng.normal(size=400) * 0.01 - 0.01 for _ in range(6)]
    assert "too little to call the best of 8 better" in _verdict(*pair, *others)


def test_a_comparison_of_recorded_runs(settings: Settings) -> None:
    finished_run("calm", seed=1, like=0.9)
    finished_run("wild", seed=2, like=0.9, drift=0.01)
    found = qnb.compare("calm", "wild")
    assert [p.label for p in found.parts] == ["calm", "wild"]
    assert found.correlation is not None
    assert 0.8 < found.correlation[0, 1] < 1.0
    assert found.correlation_days == DAYS
    assert found.verdict[0].startswith("Predictions correlate 0.9")
    assert "wild is better" in found.verdict[-1]
    by_key = {r.key: r for r in found.metrics}
    assert by_key["turnover"].values == pytest.approx((0.1, 0.1))
    assert by_key["cost"].values == pytest.approx((0.0476, 0.0476))
    view = comparison_view(found)
    total = view["figures"][0]["lines"][1]["values"]
    assert total[-1] == pytest.approx(float(found.returns[1].sum()), abs=1e-5)  # type: ignore[index]


def test_runs_of_the_same_name_keep_apart(settings: Settings) -> None:
    first, second = finished_run("same", seed=1), finished_run("same", seed=2)
    labels = [p.label for p in qnb.compare(first, second).parts]
    assert labels == [f"same {first[:6]}", f"same {second[:6]}"]


def test_a_run_without_artifacts_is_compared_by_what_it_has(settings: Settings) -> None:
    from qnb.recorder import R

    with R.start(experiment_name="foreign", recorder_name="bare"):
        R.log_metrics(IC=0.5)
    finished_run("full", seed=1)
    found = qnb.compare("bare", "full")
    assert found.correlation is None
    assert "nothing can be said" in found.verdict[-1]
    assert next(r for r in found.metrics if r.key == "IC").best == 0


def test_too_few_too_many_and_unknown(settings: Settings) -> None:
    run = finished_run("one", seed=1)
    for runs in ((run,), (run,) * 9):
        with pytest.raises(ConfigError, match="two to 8"):
            qnb.compare(*runs)
    with pytest.raises(UnknownNameError, match="one"):
        qnb.compare("one", "onne")


def test_a_comparison_shows_itself(settings: Settings) -> None:
    finished_run("<script>alert(1)</script>", seed=1)
    finished_run("b", seed=2)
    found = qnb.compare("<script>alert(1)</script>", "b")
    html = found._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "<svg" in html
    assert found.verdict[-1] in repr(found)


@pytest.mark.parametrize(("key", "value", "text"), [("IC", 0.04639, "0.0464"), ("l2.valid", 0.993751, "0.99375")])
def test_numbers_are_written_as_everywhere(key: str, value: float, text: str) -> None:
    assert measure_of(key).write(value) == text
