"""The background writer: order, batches, a store that is away, entries that are refused, nothing lost at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from qnb.errors import RecorderError
from qnb.recorder.base import Entry, MetricPoint, ParamSet, RefusedError, TagDeleted, TagSet
from qnb.recorder.spool import Kept, Spool, read_spool
from qnb.recorder.writer import Writer


class Place:
    """A place to write to that can be away, and refuses metrics named ``bad``."""

    def __init__(self) -> None:
        self.batches: list[list[Entry]] = []
        self.away = False
        self.calls = 0

    def __call__(self, entries: Sequence[Entry]) -> None:
        self.calls += 1
        if self.away:
            raise RecorderError("nobody answers")
        if any(e.name == "bad" for e in entries):
            raise RefusedError("bad is refused")
        self.batches.append(list(entries))

    @property
    def names(self) -> list[str]:
        return [e.name for batch in self.batches for e in batch]


def points(*names: str) -> list[Entry]:
    """Metric values of those names."""
    return [MetricPoint(name, 1.0, 0, 1.0) for name in names]


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return spool_in(tmp_path / "unwritten")


def spool_in(*folders: Path) -> Spool:
    return Spool(folders, Kept("r1", "http://me:***@h"))


def wait_for(condition: object, seconds: float = 60.0) -> None:
    """Wait until `condition()` holds."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.005)


def test_entries_are_written_in_order_and_in_batches(place: Place, spool: Spool) -> None:
    writer = Writer(place, spool=spool, interval=0.05)
    for number in range(500):
        writer.put(points(f"m{number}"))
    writer.close()
    assert place.names == [f"m{n}" for n in range(500)]
    assert len(place.batches) < 20
    assert not spool.path.exists()


def test_what_is_put_is_written_without_being_asked(place: Place, spool: Spool) -> None:
    writer = Writer(place, spool=spool, interval=0.02)
    writer.put(points("a"))
    wait_for(lambda: place.names == ["a"])
    writer.close()


def test_flush_writes_at_once(place: Place, spool: Spool) -> None:
    writer = Writer(place, spool=spool, interval=60)
    writer.put(points("a"))
    writer.flush()
    assert place.names == ["a"]
    writer.close()


def test_putting_takes_microseconds_while_the_store_is_slow(spool: Spool, yardstick: Callable[[], float]) -> None:
    writer = Writer(lambda entries: time.sleep(0.3), spool=spool, interval=0.01)
    entry = points("a")
    writer.put(entry)
    time.sleep(0.05)  # the writer is busy now
    took = []
    for _ in range(2000):
        began = time.perf_counter()
        writer.put(entry)
        took.append(time.perf_counter() - began)
    writer.close()
    assert sorted(took)[len(took) // 2] < yardstick() / 200


def test_threads_may_put_at_once(place: Place, spool: Spool) -> None:
    writer = Writer(place, spool=spool, interval=0.01)
    threads = [
        threading.Thread(target=lambda k=k: [writer.put(points(f"{k}.{n}")) for n in range(200)]) for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    for k in range(4):
        assert [n for n in place.names if n.startswith(f"{k}.")] == [f"{k}.{n}" for n in range(200)]


def test_a_store_that_comes_back_gets_everything_in_order(
    place: Place, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    place.away = True
    writer = Writer(place, spool=spool, interval=0.02)
    writer.put(points("a"))
    wait_for(lambda: place.calls >= 2)
    writer.put(points("b"))
    assert spool.path.exists(), "what waits is on disk, should the process die"
    place.away = False
    writer.close()
    assert place.names == ["a", "b"]
    assert not spool.path.exists()
    assert caplog.text.count("nobody answers") == 1


def test_an_outage_while_a_refused_batch_is_halved_writes_nothing_twice(tmp_path: Path) -> None:
    class Leaving(Place):
        """Goes away before the `last`th call."""

        last = 0

        def __call__(self, entries: Sequence[Entry]) -> None:
            self.away = self.calls + 1 == self.last
            super().__call__(entries)

    names = ["a", "b", "bad", "c", "d", "e", "bad", "f"]
    for last in range(1, 14):
        leaving = Leaving()
        leaving.last = last
        one = spool_in(tmp_path / str(last))
        writer = Writer(leaving, spool=one, interval=600)
        writer.put(points(*names))
        writer._drain()
        writer.put(points("g"))
        with pytest.raises(RefusedError, match="2 entries were not written"):
            writer.close()
        assert leaving.names == ["a", "b", "c", "d", "e", "f", "g"], last
        assert [e.name for e in read_spool(one.refused_path).contents] == ["bad", "bad"], last
        assert not one.path.exists()


def test_a_store_that_stays_away_leaves_a_spool_file(place: Place, spool: Spool) -> None:
    place.away = True
    writer = Writer(place, spool=spool, interval=60)
    entries: list[Entry] = [*points("a"), ParamSet("p", "1"), TagSet("t", "ü"), TagDeleted("u")]
    writer.put(entries)
    with pytest.raises(RecorderError, match="nobody answers; 4 entries were not written yet"):
        writer.close()
    assert read_spool(spool.path).contents == tuple(entries)


def test_what_is_refused_holds_up_nothing_else(place: Place, spool: Spool) -> None:
    writer = Writer(place, spool=spool, interval=60)
    writer.put(points(*"abc", "bad", *"de", "bad", "f"))
    with pytest.raises(RefusedError, match="2 entries were not written"):
        writer.close()
    assert place.names == list("abcdef")
    assert [e.name for e in read_spool(spool.refused_path).contents] == ["bad", "bad"]
    assert not spool.path.exists()


def test_refused_and_away_together(place: Place, spool: Spool) -> None:
    writer = Writer(place, spool=spool, interval=60)
    writer.put(points("a", "bad", "b"))
    with pytest.raises(RefusedError):
        writer.flush()
    place.away = True
    writer.put(points("c"))
    with pytest.raises(RecorderError, match="1 entry was not written yet"):
        writer.close()
    assert [e.name for e in read_spool(spool.path).contents] == ["c"]
    assert [e.name for e in read_spool(spool.refused_path).contents] == ["bad"]


def test_a_folder_that_cannot_be_written_is_replaced(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = spool_in(tmp_path / "file" / "below", tmp_path / "cache")
    place.away = True
    writer = Writer(place, spool=spool, interval=60)
    writer.put(points("a"))
    with pytest.raises(RecorderError):
        writer.close()
    assert spool.path.parent == tmp_path / "cache"
    assert [e.name for e in read_spool(spool.path).contents] == ["a"]
