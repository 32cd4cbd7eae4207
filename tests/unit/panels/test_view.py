"""What a panel shows of a state: curves, progress, words for every status, and hostile text kept as text."""

from __future__ import annotations

import json
import math

from qnb import events as ev
from qnb.panels.static import static_html
from qnb.panels.view import run_view
from qnb.state import RunState, fold

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'


def training(steps: int = 38, *, best: int = 20, names: tuple[str, str] = ("l2.train", "l2.valid")) -> list[ev.Event]:
    events: list[ev.Event] = [
        ev.RunQueued(run_id="3f9c2e000000", name="lgb158", experiment="workflow", stages=("data", "fit"), time=0),
        ev.RunStarted(pid=4711, worker="worker 2", threads=2, time=1),
        ev.StageChanged(stage="data", status="started", time=1),
        ev.StageChanged(stage="data", status="finished", seconds=1.4, time=2.4),
        ev.StageChanged(stage="fit", status="started", time=2.4),
    ]
    for i in range(1, steps + 1):
        now = 2.4 + i / 5
        events.append(ev.MetricLogged(name=names[0], value=0.993 - 0.0005 * i, step=i, time=now))
        events.append(ev.MetricLogged(name=names[1], value=0.9937 + 0.00001 * abs(i - best), step=i, time=now))
        so_far = min(i, best)
        events.append(
            ev.Progress(
                stage="fit", step=i, total=1000, unit="iteration", best_step=so_far, stop_at=so_far + 50, time=now
            )
        )  # fmt: skip
    return events


def view_of(events: list[ev.Event], now: float = 11.0) -> dict:
    view = run_view(fold(events), now=now)
    json.dumps(view, allow_nan=False)  # it goes to the browser as JSON
    return view


def test_train_and_valid_are_known_on_either_side_of_a_name() -> None:
    for names in (
        ("l2.train", "l2.valid"),
        ("train.l2", "valid.l2"),
        ("train/l2", "validation/l2"),
        ("l2.training", "l2.val"),
    ):
        panes = view_of(training(names=names))["panes"]
        assert [(p["metric"], [line["name"] for line in p["lines"]], p["main"]) for p in panes] == [
            ("l2", ["valid"], True),
            ("l2", ["train"], False),
        ]
        assert panes[0]["lines"][0]["best"] == {"step": 20, "value": 0.9937, "text": "best 0.99370 at 20"}
        assert panes[1]["lines"][0]["best"] is None
        assert [p["best_step"] for p in panes] == [20, 20]


def test_curves_of_like_range_share_a_pane_and_another_metric_has_its_own() -> None:
    events = [
        ev.MetricLogged(name=name, value=value * step, step=step)
        for step in (1, 2)
        for name, value in (("ic.train", 1.0), ("ic.valid", 2.0), ("learning_rate", 0.1))
    ]
    panes = view_of(events)["panes"]
    assert [(p["metric"], [line["name"] for line in p["lines"]]) for p in panes] == [
        ("ic", ["valid", "train"]),
        ("learning_rate", ["learning_rate"]),
    ]


def test_progress_is_measured_against_where_it_stops() -> None:
    progress = view_of(training())["progress"]
    assert progress["title"] == "Iteration 38"
    assert progress["note"] == "stops at 70 unless valid l2 improves"
    assert (progress["share_text"], progress["way_text"]) == ("54\u00a0%", "of the way to 70")
    assert progress["spoken"].startswith("Fit, iteration 38, about ")


def test_facts_of_now() -> None:
    facts = {name: (value, more) for name, value, more in view_of(training())["facts"]}
    assert facts["Iteration"] == ("38", "of ≤ 1,000")
    assert facts["Valid l2"] == ("0.99388", "")
    assert facts["Best valid l2"] == ("0.99370", "at 20")
    assert facts["Since best"] == ("18", "of 50 allowed")
    assert facts["Speed"] == ("5.0", "iterations / s")


def test_long_curve_is_thinned_and_keeps_its_extremes() -> None:
    values = [math.sin(i / 50) for i in range(20_000)]
    values[7_777], values[13_131] = 9.0, -9.0
    line = view_of([ev.MetricLogged(name="loss", value=v, step=i) for i, v in enumerate(values)])["panes"][0]["lines"][
        0
    ]
    assert len(line["values"]) <= 602
    assert 9.0 in line["values"]
    assert -9.0 in line["values"]
    assert (line["steps"][0], line["steps"][-1]) == (0, 19_999)


def test_value_that_is_no_number_leaves_a_gap() -> None:
    events = [
        ev.MetricLogged(name="loss", value=v, step=i) for i, v in enumerate((1.0, math.nan, math.inf, 2.0, math.nan))
    ]
    view = view_of(events)
    assert view["panes"][0]["lines"][0]["values"] == [1.0, None, None, 2.0, None]
    assert view["panes"][0]["lines"][0]["last"] == "–"
    assert view["metrics"] == [["loss", "–"]]


def test_states_have_their_words() -> None:
    queued = training()[:1]
    assert view_of(queued)["status_text"] == "Waiting"
    assert view_of(queued)["elapsed"] == ""
    assert not view_of(queued)["over"]

    running = view_of(training())
    assert (running["status_text"], running["end"]) == ("Running", 70)
    assert [s["status"] for s in running["stages"]] == ["finished", "running"]

    stopped = view_of([*training(), ev.RunStopped(reason="at iteration 38", time=12)])
    assert (stopped["status_text"], stopped["stop_reason"], stopped["over"]) == ("Stopped", "at iteration 38", True)
    assert stopped["stages"][1]["status"] == "stopped"

    failed = view_of([*training(), ev.RunFailed(error="ValueError", message="line 22: no GPU", traceback="…", time=12)])
    assert failed["status_text"] == "Failed"
    assert failed["failure"]["message"] == "line 22: no GPU"
    assert view_of([*training(), ev.RunFinished(time=12)])["status_text"] == "Finished"
    assert run_view(RunState())["status_text"] == "Waiting"


def test_silence_is_told_after_thirty_seconds() -> None:
    assert view_of(training(), now=11)["silent"] == ""
    assert view_of(training(), now=60)["silent"].startswith("No sign of life for ")
    assert view_of([*training(), ev.RunFinished(time=12)], now=600)["silent"] == ""


def test_log_is_bounded() -> None:
    view = view_of([ev.LogLine(text="x" * 5000, level="warning") for _ in range(500)])
    assert len(view["log"]) == 200
    assert (view["log_count"], view["warning_count"]) == (500, 500)
    assert len(view["log"][0]["text"]) < 2100


def test_static_form_escapes_everything_of_the_run() -> None:
    events: list[ev.Event] = [
        ev.RunQueued(run_id=HOSTILE, name=HOSTILE, experiment=HOSTILE, stages=(HOSTILE,)),
        ev.RunStarted(pid=1),
        ev.StageChanged(stage=HOSTILE, status="started"),
        ev.MetricLogged(name=HOSTILE, value=1.0, step=1),
        ev.LogLine(text=HOSTILE),
    ]
    for ending in (ev.RunFailed(error="E", message=HOSTILE), ev.RunStopped(reason=HOSTILE)):
        html = static_html(run_view(fold([*events, ending])), "")
        assert "<script" not in html
        assert "<img" not in html
        assert "&lt;script&gt;" in html
    assert "%qshow" in static_html(run_view(fold(events)), "")
