"""Small files that others wrote: checked against types, told once when they are damaged, never an exception."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pytest

from qnb import files
from qnb.errors import PoolError
from qnb.events import MetricLogged, RunQueued, RunStarted
from qnb.files import AnyFloat, Moment, Natural, fit, make, parse_json, read_json, write_atomically
from qnb.journal import JOURNAL_NAME, JournalWriter, read_journal
from qnb.machine import ProcessId
from qnb.pool.adopted import AdoptedWorker
from qnb.pool.place import Place, PoolSettings
from qnb.pool.tickets import Ticket
from qnb.rundir import RunDir
from qnb.state import load_state


class Inner(TypedDict):
    name: str


@dataclass(frozen=True)
class Sample:
    text: str
    whole: int = 1
    natural: Natural = 2
    number: float = 0.5
    measured: AnyFloat = 0.0
    when: Moment = 0.0
    flag: bool = False
    words: tuple[str, ...] = ()
    figures: Mapping[str, float] | None = None
    inner: list[Inner] | None = None
    any: Any = None


def test_values_of_the_right_types_are_taken_over_and_unknown_keys_left_out() -> None:
    raw = {
        "text": "a", "whole": 3.0, "natural": 0, "number": 2, "measured": "-inf", "when": 1e9, "flag": True,
        "words": ["x"], "figures": {"IC": 1}, "inner": [{"name": "n", "more": 1}], "any": [1], "colour": "red",
    }  # fmt: skip
    assert make(Sample, raw) == Sample(
        "a", 3, 0, 2.0, float("-inf"), 1e9, True, ("x",), {"IC": 1.0}, [{"name": "n"}], [1]
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", 1), ("text", None), ("whole", "1"), ("whole", True), ("whole", 1.5), ("whole", 2**63), ("natural", -1),
        ("number", float("nan")), ("number", "1.5"), ("number", True), ("number", 10**400), ("measured", "much"),
        ("when", -1), ("when", 1e300), ("flag", 1), ("words", "abc"), ("words", [1]), ("words", {"a": 1}),
        ("figures", {"IC": "high"}), ("figures", [1]), ("inner", [{}]), ("inner", ["n"]),
    ],
)  # fmt: skip
def test_a_value_of_a_wrong_type_is_refused_or_left_out(name: str, value: object) -> None:
    raw = {"text": "a", name: value}
    with pytest.raises(ValueError, match=name):
        make(Sample, raw)
    told: list[str] = []
    assert name not in fit(Sample, raw, told.append)
    assert len(told) == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"[" * 500 + b"]" * 500, b"1" * 5000, b"\x00" * 64],
    ids=["empty", "torn", "bytes", "deep", "nested", "long", "zeros"],
)
def test_what_is_no_json_of_ours_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_json(data)


def test_other_encodings_are_read_and_half_characters_replaced() -> None:
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        assert parse_json('{"a": "é"}'.encode(encoding)) == {"a": "é"}
    assert parse_json(b'{"a\\ud800": ["\\udfff", "\\ud83d\\ude00"]}') == {"a?": ["?", "\U0001f600"]}


def test_damage_is_told_once_with_the_file_and_what_to_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.json"
    assert read_json(path, remedy="remove it") is None
    assert not caplog.records
    for damage in ("[]", "", "{"):
        path.write_text(damage)
        assert read_json(path, remedy="remove it", damaged={}) == {}
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert str(path) in caplog.text
    assert "remove it" in caplog.text


def test_a_folder_in_the_place_of_a_file_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.mkdir()
    write_atomically(path, "{}")
    assert read_json(path, remedy="") == {}
    path.unlink()
    path.mkdir()
    files.remove(path)
    assert not path.exists()
    assert len(list(tmp_path.glob(".a.json.damaged-*"))) == 2


def test_a_folder_that_is_gone_does_not_come_back(tmp_path: Path) -> None:
    gone = tmp_path / "old" / ".qnb"
    for write in (lambda: write_atomically(gone / "a.json", "{}"), JournalWriter(gone).open):
        with pytest.raises(FileNotFoundError):
            write()
    assert not gone.parent.exists()


@pytest.mark.parametrize("damage", ['{"colour": "red"}', "[]", "", "{", '{"priority": "high", "retries": 7}'])
def test_a_damaged_ticket_keeps_its_run_in_the_queue(tmp_path: Path, damage: str) -> None:
    place = Place(tmp_path).make()
    (place.tickets.folder / "abc.json").write_text(damage)
    (place.tickets.folder / "dir.json").mkdir()
    place.tickets.put(Ticket("sound", "", priority=1))
    found = {t.run_id: t for t in place.tickets}
    assert found.keys() == {"abc", "dir", "sound"}
    assert (found["abc"].priority, found["abc"].retries) == (0, 7 if "7" in damage else 1)
    assert found["abc"].run.path == tmp_path / ".qnb" / "runs" / "abc"
    place.tickets.remove("dir")
    assert place.tickets.names() == {"abc", "sound"}


def test_settings_and_status_of_another_version_or_damaged_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, limits = Place(tmp_path).make(), PoolSettings(workers=2, threads=4)
    text = {"workers": "many", "threads": 3, "memory_gb": -1, "idle_minutes": float("nan"), "colour": "red", "fork": 1}
    (place.folder / "settings.json").write_text(json.dumps(text))
    assert place.settings(limits) == PoolSettings(workers=2, threads=3)
    assert "settings.json" in caplog.text
    said = {"pid": "7", "workers": [{"name": "a"}], "waiting": ["abc"], "colour": "red"}
    (place.folder / "status.json").write_text(json.dumps(said))
    assert place.status() == {"waiting": ["abc"]}
    (place.folder / "clients").rmdir()
    (place.folder / "clients").touch()
    assert place.clients() == []


@pytest.mark.parametrize(
    "line",
    [
        '{"event":"MetricLogged","nom":"z"}',
        '{"event":"MetricLogged","time":1.0,"name":"a","value":1.0,"step":"x"}',
        '{"event":"MetricLogged","time":1.0,"name":["a"],"value":1.0,"step":1}',
        '{"event":"MetricLogged","time":1.0,"name":"a","value":{},"step":1}',
        '{"event":"MetricLogged","time":1.0,"name":"a","value":1.0,"step":99999999999999999999}',
        '{"event":"MetricLogged","time":"now","name":"a","value":1.0,"step":1}',
        '{"event":"LogLine","time":1.0,"text":7,"stage":"","level":"info"}',
        '{"event":"LogLine","time":1e300,"text":"a","stage":"","level":"info"}',
        '{"event":"RunStarted","time":1.0,"pid":"me"}',
        '{"event":"StageChanged","time":1.0}',
        '{"event":["RunFinished"]}',
        '{"event":"FromTheFuture"}',
        "[]", "17", "{", "\x00", "[" * 2000, '"\\ud800"',
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_left_out_and_told(
    tmp_path: Path, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    sound = [RunQueued(run_id="a", name="n"), MetricLogged(name="a", value=2.0, step=1)]
    with JournalWriter(tmp_path) as journal:
        journal.append(sound[0])
    with (tmp_path / JOURNAL_NAME).open("a") as file:
        file.write(f"{line}\n")
    with JournalWriter(tmp_path) as journal:
        assert journal.append(sound[1]) == 3
    assert [e.event for e in read_journal(tmp_path)] == sound
    state = load_state(tmp_path)
    assert (state.status, state.metrics, state.seq) == ("waiting", {"a": 2.0}, 3)
    assert [len(c.steps) for c in state.curves.values()] == [len(c.values) for c in state.curves.values()] == [1]
    assert "line 2" in caplog.text


def test_an_ending_with_a_figure_that_cannot_be_read_is_an_ending(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).write_text('{"event":"RunFinished","seconds":"long","metrics":{"IC":[]}}\n')
    assert load_state(tmp_path).status == "finished"


def test_a_journal_that_is_a_folder_is_moved_aside_by_who_writes(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).mkdir()
    assert load_state(tmp_path).status == "unknown"
    with JournalWriter(tmp_path) as journal:
        journal.append(RunStarted(pid=1))
    assert load_state(tmp_path).status == "running"


def test_a_process_of_which_only_the_number_is_known_is_not_ours() -> None:
    assert AdoptedWorker("w", ProcessId(1)).ended


@pytest.mark.parametrize("damage", ["[]", '{"id": 5}', '{"id": "a", "experiment": []}', "\udcff"])
def test_damaged_notes_of_a_run_count_as_absent(tmp_path: Path, damage: str) -> None:
    for name in ("recorder.json", "result.json"):
        (tmp_path / name).write_bytes(damage.encode("utf-8", "surrogateescape"))
    assert RunDir(tmp_path).recorder() is None
    assert RunDir(tmp_path).result() == {}
    with pytest.raises(PoolError, match=r"request\.json cannot be read"):
        RunDir(tmp_path).request()
