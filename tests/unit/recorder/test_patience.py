"""A run whose store goes away: it is waited for, what it does not take is kept, and the run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qnb.config import Settings
from qnb.recorder import Recorder
from qnb.recorder.artifacts import files_in, keep_file, place_of
from qnb.recorder.base import ArtifactInfo, MetricPoint, RefusedError, UnreachableError
from qnb.recorder.experiment import Experiment
from qnb.recorder.limit import Limited
from qnb.recorder.patience import Patience, store_patience
from qnb.recorder.sqlite import SqliteStore
from qnb.recorder.stores import open_store


class Remote(SqliteStore):
    """A store whose artifacts are elsewhere, and which can be away: it answers after `away` more calls."""

    away = 0
    calls = 0
    puts = 0

    def local_dir(self, run_id: str) -> Path | None:
        return None

    def put_file(self, run_id: str, path: Path, folder: str = "") -> None:
        self.puts += 1
        self._answer()
        keep_file(self.place, path, folder)

    def files(self, run_id: str, folder: str = "") -> list[ArtifactInfo]:
        self._answer()
        return files_in(self.place, folder)

    def fetch(self, run_id: str, path: str, target: Path) -> Path:
        self._answer()
        found = place_of(self.place, path)
        if not found.exists():
            raise RefusedError(f"no artifact {path!r}")
        return found

    def _reading(self, what: str) -> Any:
        self._answer()
        return super()._reading(what)

    def _writing(self, what: str) -> Any:
        self._answer()
        return super()._writing(what)

    @property
    def place(self) -> Path:
        return self.path.parent / "elsewhere"

    def _answer(self) -> None:
        self.calls += 1
        if self.away:
            self.away -= 1
            raise UnreachableError("nobody answers")


AWAY = 10**9


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qnb.recorder.patience.PAUSE", 0.02)
    monkeypatch.setattr("qnb.recorder.patience.STOP_POLL", 0.01)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(work_dir=tmp_path, cache_dir=tmp_path / "cache")


@pytest.fixture
def store(settings: Settings) -> Remote:
    open_store(settings.tracking_uri, cache_dir=Settings().cache_dir)
    return Remote(settings.work_dir / "mlflow.db")


@pytest.fixture
def start(store: Remote, settings: Settings) -> Iterator[Callable[..., Recorder]]:
    """Start a run that waits for its store."""

    def begin(limit: float = 0.0, **options: Any) -> Recorder:
        recorder = Experiment(store, store.create_experiment("e"), settings)._create("r", {}, "RUNNING")
        recorder.start_run(survey=False)
        recorder.wait_for_store(Patience(limit, **options))
        return recorder

    yield begin
    store.away = 0


def after(settings: Settings, store: Remote, recorder: Recorder) -> Recorder:
    """Return the run as it is found once the store is there again and was opened."""
    store.away = 0
    open_store(settings.tracking_uri, cache_dir=settings.cache_dir, work_dir=settings.work_dir)
    return Recorder(store, store.run(recorder.id), settings)


def test_a_store_is_asked_until_it_answers(store: Remote, start: Callable[..., Recorder]) -> None:
    told: list[str] = []
    recorder = start(60.0, tell=told.append)
    store.away = 5
    recorder.save_objects(**{"a.json": {"a": 1}})
    store.away = 5
    assert recorder.load_object("a") == {"a": 1}
    recorder.log_metrics(x=1.0)
    store.away = 5
    assert recorder.list_metrics() == {"x": 1.0}
    store.away = 5
    recorder.end_run()
    assert recorder.status == "FINISHED"
    assert len(told) == 4
    assert "nobody answers; waiting for that, 60 s at most; a stop ends the waiting" in told[0]


def test_what_it_never_took_is_kept_read_and_written_later(
    store: Remote, start: Callable[..., Recorder], settings: Settings
) -> None:
    told: list[str] = []
    recorder = start(0.1, tell=told.append)
    recorder.save_objects(**{"before.json": {"b": 0}})
    recorder.log_metrics(before=1.0)
    recorder.log_params(p=1)
    recorder.flush()
    store.away = AWAY
    recorder.save_objects(artifact_path="deep/er", **{"a.json": {"a": 1}})
    recorder.save_objects(artifact_path="deep/er", **{"a.json": {"a": 2}})
    (settings.work_dir / "plot" / "sub").mkdir(parents=True)
    (settings.work_dir / "plot" / "sub" / "x.txt").write_text("X")
    recorder.log_artifact(settings.work_dir / "plot")
    recorder.log_metrics(after=2.0)
    assert recorder.load_object("deep/er/a") == {"a": 2}
    assert recorder.list_artifacts() == ["before.json", "deep", "plot"]
    assert recorder.list_artifacts("deep") == ["deep/er"]
    files = ["before.json", "deep", "deep/er", "deep/er/a.json", "plot", "plot/sub", "plot/sub/x.txt"]
    assert [f.path for f in recorder.list_files()] == files
    assert recorder.list_metrics() == {"before": 1.0, "after": 2.0}
    assert recorder.list_params()["p"] == "1"
    with pytest.raises(UnreachableError):
        recorder.load_object("before")
    recorder.end_run()
    assert "keeps what waits, which is written by itself when the store answers again" in told[-1]
    found = after(settings, store, recorder)
    assert found.status == "FINISHED"
    assert found.list_metrics() == {"before": 1.0, "after": 2.0}
    assert not (settings.work_dir / ".qnb" / "unwritten").exists()


def test_files_that_were_kept_are_brought_at_the_end_when_the_store_is_back(
    store: Remote, start: Callable[..., Recorder], settings: Settings
) -> None:
    recorder = start(0.05)
    store.away = AWAY
    recorder.save_objects(artifact_path="deep", **{"a.json": {"a": 1}})
    recorder.log_metrics(x=1.0)
    store.away = 0
    recorder.end_run()
    assert recorder.status == "FINISHED"
    assert recorder.load_object("deep/a") == {"a": 1}
    assert (store.place / "deep" / "a.json").exists()
    assert recorder.list_metrics() == {"x": 1.0}
    assert not (settings.work_dir / ".qnb" / "unwritten").exists()


def test_a_stop_ends_the_waiting(store: Remote, start: Callable[..., Recorder]) -> None:
    asked = iter([False] * 5 + [True] * 10_000)
    recorder = start(3600.0, should_stop=lambda: next(asked))
    store.away = AWAY
    recorder.save_objects(**{"a.json": {"a": 1}})
    recorder.end_run()
    assert store.calls < 40


def test_an_interrupt_after_a_stop_ends_the_waiting_and_one_without_the_run(
    store: Remote, start: Callable[..., Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    recorder = start(3600.0, should_stop=lambda: False)
    store.away = AWAY
    with monkeypatch.context() as patch:
        clock = SimpleNamespace(sleep=interrupt, monotonic=time.monotonic)  # other threads sleep on
        patch.setattr("qnb.recorder.patience.time", clock)
        with pytest.raises(KeyboardInterrupt):
            recorder.save_objects(**{"a.json": {}})
    recorder._channel._patience.end()  # type: ignore[union-attr]

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(UnreachableError, match="before the stop"):
        Patience(3600.0, should_stop=lambda: True).wait(interrupted)


def test_a_store_that_is_away_is_not_asked_for_each_thing(
    store: Remote, start: Callable[..., Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qnb.recorder.patience.AGAIN", 3600.0)
    recorder = start(0.05)
    store.away = AWAY
    recorder.save_objects(**{"a.json": {}})
    before = store.puts
    recorder.save_objects(**{f"{n}.json": {} for n in range(20)})
    assert store.puts == before
    monkeypatch.setattr("qnb.recorder.patience.AGAIN", 0.0)
    recorder._channel._patience._next = 0.0  # type: ignore[union-attr]
    recorder.save_objects(**{"b.json": {}})
    assert store.puts == before + 1, "every so often it is asked once"


def test_without_patience_the_end_is_kept_and_said(store: Remote, settings: Settings) -> None:
    recorder = Experiment(store, store.create_experiment("e"), settings)._create("r", {}, "RUNNING")
    recorder.start_run(survey=False)
    recorder.flush()
    recorder.log_metrics(x=1.0)
    store.away = AWAY
    with pytest.raises(UnreachableError, match="1 entry was not written yet") as caught:
        recorder.end_run("FAILED")
    assert "written by itself when the store answers again" in str(caught.value.__notes__)
    found = after(settings, store, recorder)
    assert (found.status, found.list_metrics()) == ("FAILED", {"x": 1.0})


def test_points_that_are_there_already_are_not_there_twice(store: Remote, start: Callable[..., Recorder]) -> None:
    recorder = start()
    points = [MetricPoint("loss", 1 / n, n, 1_700_000_000.0 + n / 1000) for n in range(1, 50)]
    recorder.log_curves(points)
    recorder.log_curves(points)
    assert [step for step, _ in recorder.metric_history("loss")] == list(range(1, 50))
    recorder.end_run()


def test_patience_is_set_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QNB_STORE_PATIENCE", raising=False)
    assert store_patience() == 300.0
    for text, seconds in (("12.5", 12.5), ("0", 0.0), ("soon", 300.0), ("-1", 300.0)):
        monkeypatch.setenv("QNB_STORE_PATIENCE", text)
        assert store_patience() == seconds


class Slow:
    """Takes its time."""

    def __init__(self) -> None:
        self.release = False

    def quick(self, value: int, *, more: int = 0) -> int:
        return value + more

    def wrong(self) -> None:
        raise KeyError("x")

    def stand_still(self) -> str:
        while not self.release:
            time.sleep(0.01)
        return "late"

    def carry(self) -> str:
        time.sleep(0.2)
        return "carried"


def test_calls_end_in_time_and_a_server_is_asked_before_more_are_left_behind() -> None:
    slow, asked = Slow(), []

    def ask() -> None:
        asked.append(1)
        if not slow.release:
            raise UnreachableError("it stands still")

    limited = Limited(slow, 0.1, {"carry": 60.0}, ask)
    assert limited.quick(1, more=2) == 3
    assert limited.carry() == "carried"
    with pytest.raises(KeyError):
        limited.wrong()
    assert not asked
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        limited.stand_still()
    for _ in range(3):
        with pytest.raises(UnreachableError):
            limited.quick(1)
    slow.release = True
    assert limited.quick(1) == 1
    while any(thread.is_alive() for thread in limited._left):
        time.sleep(0.01)
    before = len(asked)
    assert limited.quick(1) == 1
    assert len(asked) == before, "nothing is left behind any more"
