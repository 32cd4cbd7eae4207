"""What a store did not take: kept, and written once by whoever opens the store next."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from qnb.config import Settings
from qnb.errors import RecorderError
from qnb.machine import ProcessId, process_id
from qnb.recorder import replay_spool
from qnb.recorder.base import (
    ExperimentInfo,
    MetricPoint,
    ParamSet,
    RefusedError,
    RunInfo,
    TagDeleted,
    TagSet,
    UnreachableError,
)  # fmt: skip
from qnb.recorder.query import existing_store
from qnb.recorder.spool import REFUSED, Kept, Spool, deliver, folders_of, name_of, read_spool, write_to
from qnb.recorder.sqlite import SqliteStore
from qnb.recorder.stores import open_store

ENTRIES = [MetricPoint("loss", 0.5, 3, 1.0), ParamSet("p", "1"), TagSet("t", "ü"), TagSet("u", "x"), TagDeleted("u")]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(work_dir=tmp_path, cache_dir=tmp_path / "cache")


@pytest.fixture
def store(settings: Settings) -> SqliteStore:
    found = open_store(settings.tracking_uri, cache_dir=Settings().cache_dir)
    assert isinstance(found, SqliteStore)
    return found


@pytest.fixture
def run(store: SqliteStore) -> RunInfo:
    return store.create_run(store.create_experiment("e"), "r", tags={"qnb.run_id": "abc"}, status="RUNNING")


def spool_of(settings: Settings, run_id: str, **more: object) -> Spool:
    name = name_of(settings.tracking_uri, settings.work_dir)
    return Spool(folders_of(settings.work_dir, settings.cache_dir), Kept(run_id, name, **more))  # type: ignore[arg-type]


def opened(settings: Settings) -> None:
    existing_store(settings.tracking_uri, work_dir=settings.work_dir, cache_dir=settings.cache_dir)


def test_what_is_left_is_written_when_the_store_is_opened(settings: Settings, store: SqliteStore, run: RunInfo) -> None:
    (settings.work_dir / "plot").mkdir()
    (settings.work_dir / "plot" / "a.txt").write_text("A")
    spool = spool_of(settings, run.run_id, owner=process_id())
    spool.keep(ENTRIES)
    spool.keep_file(settings.work_dir / "plot", "deep")
    opened(settings)
    assert store.run(run.run_id).status == "RUNNING", "the process that owns it lives"
    spool.leave("FINISHED", 1_700_000_000.0)
    opened(settings)
    found = store.run(run.run_id)
    assert (found.status, found.end, found.metrics, found.params["p"], found.tags["t"]) == (
        "FINISHED", 1_700_000_000.0, {"loss": 0.5}, "1", "ü",
    )  # fmt: skip
    assert "u" not in found.tags
    assert store.fetch(run.run_id, "deep/plot/a.txt", Path()).read_text() == "A"
    assert not (settings.work_dir / ".qnb" / "unwritten").exists()


def test_what_a_killed_process_had_left_is_written(settings: Settings, store: SqliteStore, run: RunInfo) -> None:
    spool_of(settings, run.run_id, owner=ProcessId(process_id().pid, 1.0)).keep(
        ENTRIES
    )  # of another one with its number
    opened(settings)
    assert store.run(run.run_id).metrics == {"loss": 0.5}


def test_written_twice_it_changes_nothing(settings: Settings, store: SqliteStore, run: RunInfo) -> None:
    spool = spool_of(settings, run.run_id)
    spool.keep(ENTRIES)
    spool.leave("FAILED", 5.0)
    text = spool.path.read_text()
    assert write_to(store, spool.path) == 6
    once, history = store.run(run.run_id), store.history(run.run_id, "loss")
    spool.path.parent.mkdir(exist_ok=True)
    spool.path.write_text(text)  # as if the process had been killed before it removed the file
    write_to(store, spool.path)
    assert (store.run(run.run_id), store.history(run.run_id, "loss")) == (once, history)


def test_many_who_open_the_store_at_once_write_it_once(settings: Settings, store: SqliteStore, run: RunInfo) -> None:
    counted = []

    class Counting:
        def log(self, run_id: str, entries: object) -> None:
            counted.append(run_id)

    for _ in range(5):
        spool_of(settings, run.run_id).keep(ENTRIES)
    name, folders = name_of(settings.tracking_uri, settings.work_dir), folders_of(settings.work_dir, None)
    threads = [
        threading.Thread(target=deliver, args=(Counting(), folders, name)) for _ in range(8)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counted) == 5


def test_a_run_without_a_known_recorder_is_found_by_its_tag(
    settings: Settings, store: SqliteStore, run: RunInfo
) -> None:
    other = store.create_run(
        ExperimentInfo(run.experiment_id, "e"), "r", tags={"qnb.run_id": "other"}, status="RUNNING"
    )
    spool_of(settings, "", task_run="abc").leave("FAILED", 5.0)
    spool_of(settings, "", task_run="never started").leave("FAILED", 5.0)
    opened(settings)
    assert [store.run(i).status for i in (run.run_id, other.run_id)] == ["FAILED", "RUNNING"]
    assert not (settings.work_dir / ".qnb" / "unwritten").exists()


def test_what_is_refused_is_kept_for_a_person(
    settings: Settings, store: SqliteStore, run: RunInfo, caplog: pytest.LogCaptureFixture
) -> None:
    store.log(run.run_id, [ParamSet("p", "2")])
    spool = spool_of(settings, run.run_id)
    spool.keep(ENTRIES)
    spool.leave("FINISHED", 5.0)
    opened(settings)
    found = store.run(run.run_id)
    assert (found.status, found.metrics, found.params["p"]) == ("FINISHED", {"loss": 0.5}, "2")
    assert "refuses some of what waited" in caplog.text
    assert spool.refused_path.name in caplog.text
    assert read_spool(spool.refused_path).contents == (ParamSet("p", "1"),)
    opened(settings)
    with pytest.raises(RefusedError, match="the store refuses what"):
        replay_spool(spool.refused_path, uri=store.uri)
    assert spool.refused_path.exists()


def test_the_ending_of_a_deleted_run_is_dropped(settings: Settings, store: SqliteStore, run: RunInfo) -> None:
    store.delete_run(run.run_id)
    spool = spool_of(settings, run.run_id)
    spool.keep([TagSet("qnb.status", "failed")])
    spool.leave("FAILED", 5.0)
    spool_of(settings, "0" * 32).leave("FAILED", 5.0)  # `mlflow gc` was there
    opened(settings)
    assert not (settings.work_dir / ".qnb" / "unwritten").exists()


def test_damaged_files_are_told_once_and_hold_up_nothing(
    settings: Settings, store: SqliteStore, run: RunInfo, caplog: pytest.LogCaptureFixture
) -> None:
    spool = spool_of(settings, run.run_id)
    spool.keep(ENTRIES)
    folder = spool.path.parent
    (folder / "a.ndjson").write_text("no spool")
    (folder / "b.ndjson").write_text(spool.path.read_text().splitlines()[0] + '\n["metric", 1]\n["what"]\n')
    opened(settings)
    opened(settings)
    assert store.run(run.run_id).metrics == {"loss": 0.5}
    assert caplog.text.count("b.ndjson is no spool file") == 1


def test_a_store_that_is_away_leaves_everything(settings: Settings, run: RunInfo) -> None:
    class Away:
        def log(self, run_id: str, entries: object) -> None:
            raise UnreachableError("nobody answers")

    spools = [spool_of(settings, run.run_id) for _ in range(2)]
    for spool in spools:
        spool.keep(ENTRIES)
    name = name_of(settings.tracking_uri, settings.work_dir)
    assert deliver(Away(), folders_of(settings.work_dir, None), name) == 0  # type: ignore[arg-type]
    assert all(spool.path.exists() for spool in spools)


def test_a_store_is_told_by_its_name_without_its_password(settings: Settings) -> None:
    assert name_of("postgresql://a:geheim@h/db", settings.work_dir) == "postgresql://a:***@h/db"
    assert name_of(settings.tracking_uri, settings.work_dir) == "sqlite:///mlflow.db"
    assert name_of("sqlite:////elsewhere/x.db", settings.work_dir) == "sqlite:////elsewhere/x.db"


def test_a_project_that_was_moved_has_its_spool_written(tmp_path: Path) -> None:
    before = Settings(work_dir=tmp_path / "old", cache_dir=tmp_path / "cache")
    before.work_dir.mkdir()
    store = open_store(before.tracking_uri, cache_dir=Settings().cache_dir)
    run = store.create_run(store.create_experiment("e"), "r", tags={}, status="RUNNING")
    spool_of(before, run.run_id).keep(ENTRIES)
    before.work_dir.rename(tmp_path / "new")
    after = before.with_(work_dir=tmp_path / "new")
    opened(after)
    assert open_store(after.tracking_uri).run(run.run_id).metrics == {"loss": 0.5}


def test_what_was_refused_can_be_written_by_hand(settings: Settings, store: SqliteStore, run: RunInfo) -> None:
    spool = spool_of(settings, run.run_id)
    path = spool.refuse(ENTRIES)
    assert path.name.endswith(REFUSED)
    opened(settings)
    assert not store.run(run.run_id).metrics
    assert replay_spool(path, uri=store.uri) == len(ENTRIES)
    assert store.run(run.run_id).metrics == {"loss": 0.5}
    with pytest.raises(RecorderError, match="no spool file"):
        replay_spool(path, uri=store.uri)


def test_the_store_of_a_spool_file_is_the_one_it_names(settings: Settings, store: SqliteStore, run: RunInfo) -> None:
    spool = Spool([settings.work_dir], Kept(run.run_id, store.uri))
    spool.keep(ENTRIES)
    assert replay_spool(spool.path) == len(ENTRIES)
    assert store.run(run.run_id).metrics == {"loss": 0.5}
    secret = Spool([settings.work_dir], Kept(run.run_id, "postgresql://a:***@h/db"))
    secret.keep(ENTRIES)
    with pytest.raises(RecorderError, match=r"belongs to the store postgresql://a:\*\*\*@h/db; give its address"):
        replay_spool(secret.path)


def test_what_a_killed_writer_left_half_written_is_removed(
    settings: Settings, store: SqliteStore, run: RunInfo
) -> None:
    spool = spool_of(settings, run.run_id)
    spool.keep(ENTRIES)
    half = spool.path.with_name(f".{spool.path.name}.abcdefgh")
    half.write_text("{")
    subprocess.run(["touch", "-d", "2 hours ago", str(half)], check=True)
    opened(settings)
    assert not half.exists()
