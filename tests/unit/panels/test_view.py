"""What a panel shows of a state: curves, progress, words for every status, and hostile text kept as text."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable

from qnb import events as ev
from qnb.panels.static import overlay_html, static_html
from qnb.panels.view import log_view, overlay_view, run_view
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
    assert (stopped["status_text"], stopped["over"]) == ("Stopped", True)
    assert stopped["stop_reason"] == "Stopped: at iteration 38. The best so far was iteration 20."
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
    log = log_view(fold([ev.LogLine(text="x" * 5000, level="warning") for _ in range(500)]))
    assert len(log["lines"]) == 200
    assert (log["count"], log["warnings"]) == (500, 500)
    assert len(log["lines"][0]["text"]) < 2100


def test_log_is_searched_in_all_that_is_kept() -> None:
    lines = [ev.LogLine(text=f"Epoch {i} done", level="warning" if i == 7 else "info") for i in range(1000)]
    log = log_view(fold(lines), "epoch 77")
    assert [line["text"] for line in log["lines"]][:2] == ["Epoch 77 done", "Epoch 177 done"]
    assert (log["matches"], log["kept"], log["searched"]) == (19, 1000, True)
    assert [line["text"] for line in log_view(fold(lines), warnings=True)["lines"]] == ["Epoch 7 done"]
    assert not log_view(fold(lines), "nothing like it")["lines"]


def test_interrupted_run_says_what_is_kept_and_another_try_starts_its_curves_anew() -> None:
    ending = ev.RunStopped(reason="The machine restarted at 06:12.", interrupted=True, resumable=True, time=12)
    interrupted = view_of([*training(), ending])
    assert (interrupted["status"], interrupted["status_text"]) == ("interrupted", "Interrupted")
    assert interrupted["stop_reason"].startswith("The machine restarted at 06:12. The best so far was iteration 20.")
    assert interrupted["stop_reason"].endswith("Resume goes on from the checkpoint.")

    crashed = [*training(), ev.RunRetried(reason="Worker 2 was ended by the system (exit −9)", attempt=2, time=12)]
    waiting = view_of(crashed)
    assert (waiting["status"], waiting["notes"]) == (
        "waiting",
        ["Worker 2 was ended by the system (exit −9). It is tried again."],
    )
    again = fold([*crashed, ev.RunStarted(pid=2, attempt=2, time=13)])
    assert not again.curves
    assert len(fold([*crashed, ev.RunStarted(pid=2, attempt=2, resumed=True, time=13)]).curves["l2.valid"].steps) == 38


def test_duration_is_what_was_measured_whatever_the_clock_says() -> None:
    ended = fold([*training(), ev.RunFinished(seconds=30.0, time=-5000)])
    assert ended.elapsed(-6000) == 30.0
    assert fold(training()).elapsed(-100) == 0.0


def test_overlay_gives_a_run_one_colour_and_tells_namesakes_apart() -> None:
    states = [fold(training()) for _ in range(5)]
    for number, state in enumerate(states):
        state.name, state.run_id = f"run{min(number, 3)}", f"abcd{number}"
    view = overlay_view(states, now=20)
    assert [r["name"] for r in view["runs"]] == ["run0", "run1", "run2", "run3 abcd", "run3 abcd"]
    assert [(p["metric"], len(p["lines"]), p["main"]) for p in view["panes"]] == [
        ("valid l2", 5, True),
        ("train l2", 5, False),
    ]
    colours = [[line["colour"] for line in pane["lines"]] for pane in view["panes"]]
    assert colours[0] == colours[1]
    assert len(set(colours[0])) == 5
    assert [line["dash"] for line in view["panes"][0]["lines"]] == ["none"] * 4 + ["5 3"]
    html = overlay_html(view)
    assert html.count("<svg") == 2


def test_panel_of_a_hundred_thousand_events_is_drawn_in_time(yardstick: Callable[[], float]) -> None:
    state = fold(
        ev.MetricLogged(name=name, value=math.sin(i), step=i) for i in range(50_000) for name in ("l.train", "l.valid")
    )
    best = math.inf
    for _ in range(20):
        began = time.perf_counter()
        run_view(state)
        log_view(state)
        best = min(best, time.perf_counter() - began)
    assert best < 5 * yardstick()


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
    overlay = overlay_html(overlay_view([fold(events), fold(events)]))
    assert "<script" not in overlay
    assert "<img" not in overlay
    assert "%qshow" in static_html(run_view(fold(events)), "")
