"""The short way from a journal's lines to a state gives the state of the long one, and is short."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from qnb import events as ev
from qnb.journal import JOURNAL_NAME, TOGETHER, JournalReader
from qnb.state import RunState, load_state

WORDS = st.text(max_size=12)
VALUES = st.floats(allow_nan=True, allow_infinity=True, width=32)
STAGES = st.sampled_from(("data", "fit", "predict"))
TIMES = st.floats(0, 1e9)
EVENTS = st.one_of(
    st.builds(
        ev.MetricLogged, time=TIMES, name=st.sampled_from("ab"), value=VALUES, step=st.none() | st.integers(0, 9)
    ),
    st.builds(ev.Progress, time=TIMES, stage=STAGES, step=st.integers(0, 99), stop_at=st.integers(0, 9)),
    st.builds(ev.LogLine, time=TIMES, text=WORDS, level=st.sampled_from(("info", "warning")), stage=STAGES),
    st.builds(ev.StageChanged, time=TIMES, stage=STAGES, status=st.sampled_from(("started", "finished"))),
    st.builds(ev.RunStarted, time=TIMES, pid=st.just(1), resumed=st.booleans()),
    st.builds(ev.RunRetried, time=TIMES, reason=WORDS),
    st.builds(ev.RunFinished, time=TIMES, metrics=st.dictionaries(st.sampled_from("ab"), VALUES)),
)


def _long_way(directory: Path) -> RunState:
    state = RunState()
    for entry in JournalReader(directory).read_new():
        state.apply(entry.event, entry.seq)
    return state


def _write(directory: Path, lines: list[str]) -> Path:
    (directory / JOURNAL_NAME).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return directory


def _line(seq: int, event: ev.Event) -> str:
    return json.dumps({"seq": seq, **ev.to_json(event)}, ensure_ascii=False, separators=(",", ":"))


@given(st.lists(EVENTS, max_size=30))
def test_any_story_ends_in_the_same_state(tmp_path_factory: object, events: list[ev.Event]) -> None:
    directory = _write(tmp_path_factory.mktemp("run"), [_line(k, e) for k, e in enumerate(events, 1)])  # type: ignore[attr-defined]
    assert repr(load_state(directory)) == repr(_long_way(directory))


def test_lines_of_other_versions_and_broken_ones_are_treated_alike(tmp_path: Path) -> None:
    sound = [
        _line(k, ev.MetricLogged(time=k, name="a", value=math.nan if k % 7 == 0 else k, step=k)) for k in range(50)
    ]
    odd = [
        '{"seq":51,"event":"MetricLogged","time":51.0,"name":"a","value":7}',  # no step
        '{"seq":52,"event":"Progress","time":52.0,"stage":"fit","step":3,"colour":"red"}',
        '{"event":"LogLine","time":53.0,"text":"no number","level":"info","stage":""}',
        '{"seq":54,"event":"FromTheFuture","time":99.0}',
        '{"seq":55,"event":"LogLi',
        "17",
        "[]",
        "",
        '{"seq":59,"event":"MetricLogged","time":59.0,"name":"b","value":"-inf","step":1}',
    ]
    directory = _write(tmp_path, sound + odd + sound[:2])
    state = load_state(directory)
    assert repr(state) == repr(_long_way(directory))
    assert (state.metrics, len(state.logs)) == ({"a": 1.0, "b": -math.inf}, 1)


def test_what_is_appended_goes_on(tmp_path: Path) -> None:
    lines = [_line(k, ev.MetricLogged(time=k, name="a", value=k, step=k)) for k in range(1, 2 * TOGETHER + 8)]
    reader, state = JournalReader(tmp_path), RunState()
    for end in (1, 5, TOGETHER, TOGETHER + 1, len(lines)):
        _write(tmp_path, lines[:end])
        state.apply_raw(reader.read_raw())
        assert state.seq == len(state.curves["a"].steps) == end
    assert list(reader.read_raw()) == []


def test_a_long_curve_takes_a_fraction_of_the_time_of_its_events(tmp_path: Path) -> None:
    lines = [_line(k, ev.MetricLogged(time=1e9 + k, name="a", value=1 / k, step=k)) for k in range(1, 10_001)]
    directory = _write(tmp_path, lines)

    def seconds(call: Callable[[Path], RunState]) -> float:
        began = time.thread_time()  # what others do on the machine does not count, except for its caches
        call(directory)
        return time.thread_time() - began

    assert any(2 * seconds(load_state) < seconds(_long_way) for _ in range(20))
