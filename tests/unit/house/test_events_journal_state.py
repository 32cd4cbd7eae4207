"""Events survive JSON, the journal survives torn lines and a full disk, folding in pieces is folding at once."""

from __future__ import annotations

import json
import math
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnb import events as ev
from qnb.journal import JOURNAL_NAME, JournalReader, JournalWriter, read_journal
from qnb.state import Curve, RunState, fold, load_state

EVENTS = [
    ev.RunQueued(run_id="abc", name="lgb", experiment="e", stages=("data", "fit"), time=1.0),
    ev.RunStarted(pid=7, host="h", threads=2, time=2.0),
    ev.StageChanged(stage="data", status="started", time=2.0),
    ev.StageChanged(stage="data", status="finished", seconds=1.5, time=3.5),
    ev.StageChanged(stage="fit", status="started", time=3.5),
    ev.Progress(stage="fit", step=1, total=100, unit="iteration", time=4.0),
    ev.MetricLogged(name="valid.l2", value=0.9, step=1, time=4.0),
    ev.MetricLogged(name="valid.l2", value=0.8, step=2, time=5.0),
    ev.Progress(stage="fit", step=3, total=100, unit="iteration", best_step=2, stop_at=52, time=6.0),
    ev.LogLine(text="careful", level="warning", stage="fit", time=6.0),
    ev.ArtifactSaved(name="pred.parquet", kind="table", bytes=10, time=6.5),
    ev.ResourceSampled(cpu=190.0, memory=2**30, time=6.6),
    ev.StageChanged(stage="fit", status="finished", seconds=3.0, time=7.0),
    ev.RunFinished(seconds=5.0, metrics={"IC": 0.05}, time=7.0),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_an_event_survives_json(event: ev.Event) -> None:
    assert ev.from_json(json.loads(json.dumps(ev.to_json(event)))) == event


@given(st.floats(), st.text())
def test_any_value_and_text_survive_json(value: float, text: str) -> None:
    event = ev.MetricLogged(name=text, value=value, time=0.0)
    back = ev.from_json(json.loads(json.dumps(ev.to_json(event), allow_nan=False)))
    assert isinstance(back, ev.MetricLogged)
    assert back.name == text
    assert back.value == value or (math.isnan(back.value) and math.isnan(value))


def test_an_unknown_event_is_skipped() -> None:
    assert ev.from_json({"event": "FromTheFuture", "time": 1.0}) is None


def test_a_journal_numbers_without_gaps_and_goes_on_after_reopening(tmp_path: Path) -> None:
    for part in (EVENTS[:5], EVENTS[5:]):
        with JournalWriter(tmp_path) as journal:
            for event in part:
                journal.append(event)
    entries = list(read_journal(tmp_path))
    assert [e.seq for e in entries] == list(range(1, len(EVENTS) + 1))
    assert [e.event for e in entries] == EVENTS


def test_a_torn_last_line_is_left_alone_and_then_cut(tmp_path: Path) -> None:
    with JournalWriter(tmp_path) as journal:
        journal.append(EVENTS[0])
    path = tmp_path / JOURNAL_NAME
    path.write_bytes(path.read_bytes() + b'{"seq":2,"event":"RunSta')
    reader = JournalReader(tmp_path)
    assert len(reader.read_new()) == 1
    with JournalWriter(tmp_path) as journal:
        assert journal.append(EVENTS[1]) == 2
    assert [e.event for e in reader.read_new()] == [EVENTS[1]]


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    with JournalWriter(tmp_path) as journal:

        def work(k: int) -> None:
            for i in range(200):
                journal.append(ev.LogLine(text=f"{k} {i} " + "x" * 500))

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    entries = list(read_journal(tmp_path))
    assert [e.seq for e in entries] == list(range(1, 801))


def test_a_full_disk_leaves_no_half_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    journal = JournalWriter(Path("/nonexistent"))
    journal._fd = __import__("os").open("/dev/full", __import__("os").O_WRONLY)
    with pytest.raises(OSError):
        journal.append(EVENTS[0])
    assert journal._seq == 0


def test_a_reader_of_a_missing_journal_sees_nothing(tmp_path: Path) -> None:
    assert JournalReader(tmp_path / "none").read_new() == []


def test_the_fold_tells_the_story() -> None:
    state = fold(EVENTS)
    assert state.status == "finished"
    assert state.is_over
    assert state.metrics["IC"] == 0.05
    assert [s.status for s in state.stages] == ["finished", "finished"]
    assert list(state.curves["valid.l2"].values) == [0.9, 0.8]
    assert state.warning_count == 1
    assert state.elapsed(100.0) == 5.0


def test_remaining_uses_where_it_will_stop() -> None:
    state = fold(EVENTS[:9])
    assert state.remaining() == pytest.approx((52 - 3) * (6.0 - 4.0) / 2)
    assert fold(EVENTS[:6]).remaining() is None


def test_at_the_last_step_nothing_is_foretold() -> None:
    end = ev.Progress(stage="fit", step=52, total=100, unit="iteration", best_step=2, stop_at=52, time=7.0)
    assert fold([*EVENTS[:9], end]).remaining() is None


@given(st.integers(0, len(EVENTS)))
def test_folding_in_pieces_is_folding_at_once(cut: int) -> None:
    assert fold(EVENTS[cut:], fold(EVENTS[:cut])) == fold(EVENTS)


def test_a_failure_marks_the_stage_and_a_retry_starts_clean(tmp_path: Path) -> None:
    with JournalWriter(tmp_path) as journal:
        for event in EVENTS[:6]:
            journal.append(event)
        journal.append(ev.RunFailed(error="ValueError", message="no", time=9.0))
    state = load_state(tmp_path)
    assert state.status == "failed"
    assert state.stages[1].status == "failed"
    state.apply(ev.RunStarted(pid=8, attempt=2, time=10.0))
    assert state.status == "running"
    assert state.failure is None
    assert {s.status for s in state.stages} == {"waiting"}


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000), st.integers(10, 200))
def test_a_thinned_curve_keeps_its_extremes(values: list[float], points: int) -> None:
    curve = Curve()
    for i, v in enumerate(values):
        curve.steps.append(i)
        curve.values.append(v)
    steps, kept = curve.thinned(points)
    assert min(kept) == min(values)
    assert max(kept) == max(values)
    assert (steps[0], steps[-1]) == (0, len(values) - 1)
    assert len(kept) <= max(points, 4) or len(values) <= points


def test_the_state_before_any_event_is_unknown() -> None:
    assert RunState().status == "unknown"
    assert RunState().stage is None


def test_a_run_that_goes_on_from_a_checkpoint_has_each_step_once() -> None:
    before = [ev.MetricLogged(name="loss.valid", value=1.0 / i, step=i) for i in range(1, 6)]
    state = fold([ev.RunStarted(pid=1), *before, ev.RunStarted(pid=2, attempt=2, resumed=True)])
    assert list(state.curves["loss.valid"].steps) == [1, 2, 3, 4, 5]  # still there while it starts
    fold([ev.MetricLogged(name="loss.valid", value=0.25, step=i) for i in (4, 5, 6)], state)
    assert list(state.curves["loss.valid"].steps) == [1, 2, 3, 4, 5, 6]
    assert list(state.curves["loss.valid"].values)[3:] == [0.25] * 3
    state.apply(ev.MetricLogged(name="loss.valid", value=0.5, step=6))  # a user's model may log a step twice
    assert list(state.curves["loss.valid"].steps)[-2:] == [6, 6]
