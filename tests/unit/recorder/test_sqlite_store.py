"""An SQLite file that is written directly is an MLflow store: MLflow reads it, and what MLflow wrote is read."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from qnb.config import Settings
from qnb.errors import RecorderError
from qnb.recorder import R, prepare
from qnb.recorder.base import MetricPoint, ParamSet, RefusedError, TagSet
from qnb.recorder.sqlite import SqliteStore, fits
from qnb.recorder.stores import open_store


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that this module shares."""
    return tmp_path_factory.mktemp("sqlite") / "mlflow.db"


@pytest.fixture(scope="module")
def store(path: Path) -> SqliteStore:
    found = open_store(f"sqlite:///{path}")
    assert isinstance(found, SqliteStore)
    return found


@pytest.fixture(scope="module")
def client(store: SqliteStore) -> Any:
    """MLflow's own client on the same file."""
    open_store(f"mlflow+{store.uri}")  # opened quietly
    from mlflow.tracking import MlflowClient

    return MlflowClient(store.uri)


def test_mlflow_reads_what_was_written(store: SqliteStore, client: Any, tmp_path: Path) -> None:
    experiment = store.create_experiment("written here")
    run = store.create_run(experiment, "lgb", tags={"a": "b"}, status="RUNNING")
    store.log(
        run.run_id,
        [
            MetricPoint("loss", 0.5, 1, 10.0), MetricPoint("loss", 0.25, 2, 11.0), MetricPoint("loss", 0.75, 1, 12.0),
            MetricPoint("odd", math.nan, 0, 10.0), MetricPoint("far", math.inf, 0, 10.0),
            ParamSet("rate", "0.1"), TagSet("market", "demo"), TagSet("mlflow.runName", "renamed"),
        ],
    )  # fmt: skip
    store.update_run(run.run_id, status="FINISHED", end=time.time())
    (tmp_path / "note.txt").write_text("note")
    store.put_file(run.run_id, tmp_path / "note.txt", "texts")
    seen = client.get_run(run.run_id)
    assert client.get_experiment(experiment.id).name == "written here"
    assert seen.info.run_name == "renamed"
    assert seen.info.status == "FINISHED"
    assert seen.info.end_time >= seen.info.start_time
    assert seen.data.metrics["loss"] == 0.25, "the last by step"
    assert math.isnan(seen.data.metrics["odd"])
    assert seen.data.params == {"rate": "0.1"}
    assert seen.data.tags["market"] == "demo"
    history = client.get_metric_history(run.run_id, "loss")
    assert sorted((m.step, m.value) for m in history) == [(1, 0.5), (1, 0.75), (2, 0.25)]
    assert [f.path for f in client.list_artifacts(run.run_id, "texts")] == ["texts/note.txt"]
    assert Path(client.download_artifacts(run.run_id, "texts/note.txt")).read_text() == "note"


def test_what_mlflow_wrote_is_read(store: SqliteStore, client: Any) -> None:
    id = client.create_experiment("written by mlflow")
    run = client.create_run(id, run_name="theirs", tags={"a": "b"})
    for step, value in ((1, 0.5), (3, 0.1), (2, 0.3)):
        client.log_metric(run.info.run_id, "loss", value, step=step)
    client.log_param(run.info.run_id, "rate", 0.1)
    client.log_text(run.info.run_id, "text", "a/b.txt")
    client.set_terminated(run.info.run_id, "KILLED")
    seen = store.run(run.info.run_id)
    assert (seen.name, seen.status, seen.metrics["loss"], seen.params["rate"]) == ("theirs", "KILLED", 0.1, "0.1")
    assert seen.start == pytest.approx(run.info.start_time / 1000)
    assert seen.seconds is not None
    assert [p.value for p in store.history(run.info.run_id, "loss")] == [0.5, 0.3, 0.1]
    assert [a.path for a in store.files(run.info.run_id, "a")] == ["a/b.txt"]


def test_both_write_to_one_run(store: SqliteStore, client: Any) -> None:
    run = store.create_run(store.create_experiment("shared"), "r", tags={})
    store.log(run.run_id, [MetricPoint("loss", 0.5, 5, 10.0), ParamSet("a", "1")])
    client.log_metric(run.run_id, "loss", 9.0, step=4)
    client.log_metric(run.run_id, "loss", 0.1, step=6)
    store.log(run.run_id, [MetricPoint("loss", 7.0, 5, 11.0)])
    assert store.run(run.run_id).metrics["loss"] == 0.1
    client.set_tag(run.run_id, "mlflow.runName", "other")
    assert store.run(run.run_id).name == "other"


def test_an_experiment_that_mlflow_deleted_leaves_its_name_free(store: SqliteStore, client: Any) -> None:
    old = store.create_experiment("reused")
    client.delete_experiment(old.id)
    assert store.experiment(name="reused") is None
    new = store.create_experiment("reused")
    assert new.id != old.id
    assert "reused (deleted" in client.get_experiment(old.id).name
    through = open_store(f"mlflow+{store.uri}")
    client.delete_experiment(new.id)
    assert through.create_experiment("reused").id not in (old.id, new.id)


def test_a_deleted_run_is_not_written_to(store: SqliteStore) -> None:
    experiment = store.create_experiment("deleted runs")
    run = store.create_run(experiment, "r", tags={})
    store.delete_run(run.run_id)
    assert store.run(run.run_id).deleted
    with pytest.raises(RefusedError, match="was deleted"):
        store.log(run.run_id, [TagSet("a", "b")])
    with pytest.raises(RefusedError, match="no run"):
        store.update_run("0" * 32, status="FAILED")
    store.delete_experiment(experiment.id)
    with pytest.raises(RefusedError, match="was deleted"):
        store.create_run(experiment, "late", tags={})
    with pytest.raises(RefusedError, match="no experiment"):
        store.delete_experiment(experiment.id)


def test_a_batch_is_all_or_nothing(store: SqliteStore) -> None:
    run = store.create_run(store.create_experiment("batches"), "r", tags={})
    store.log(run.run_id, [ParamSet("p", "1")])
    with pytest.raises(RefusedError, match="'p' is '1' already"):
        store.log(run.run_id, [MetricPoint("m", 1.0, 0, 1.0), TagSet("t", "x"), ParamSet("p", "2")])
    found = store.run(run.run_id)
    assert not found.metrics
    assert "t" not in found.tags


def test_a_locked_file_is_waited_for_then_told(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store.create_run(store.create_experiment("locked"), "r", tags={})
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()
    store.log(run.run_id, [TagSet("a", "b")])
    release.join()
    monkeypatch.setattr("qnb.recorder.sqlite.BUSY_SECONDS", 0.05)
    impatient = SqliteStore(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RecorderError, match="another process holds its lock"):
        impatient.log(run.run_id, [TagSet("a", "b")])
    other.execute("COMMIT")
    other.close()
    impatient.close()


def test_a_file_that_is_no_store_is_told(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database at all " * 100)
    with pytest.raises(RecorderError, match="not a database"):
        open_store(f"sqlite:///{tmp_path}/mlflow.db")
    (tmp_path / "file").write_text("")
    with pytest.raises(RecorderError, match="cannot make the store"):
        open_store(f"sqlite:///{tmp_path}/file/mlflow.db")


def test_tables_that_are_not_known_are_left_to_mlflow(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    assert fits(path)
    assert not fits(tmp_path / "none.db")
    with sqlite3.connect(tmp_path / "new.db") as copy, sqlite3.connect(path) as source:
        source.backup(copy)
        copy.execute("CREATE TABLE t2 AS SELECT * FROM params")
        copy.execute("ALTER TABLE params ADD COLUMN shard INTEGER NOT NULL DEFAULT 0")
    copy.close()
    source.close()
    assert fits(tmp_path / "new.db"), "a column that fills itself is no obstacle"
    with sqlite3.connect(tmp_path / "new.db") as copy:
        copy.execute("ALTER TABLE runs RENAME COLUMN status TO state")
    copy.close()
    assert not fits(tmp_path / "new.db")


def test_a_store_that_was_removed_is_made_again(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    open_store(uri).create_experiment("e")
    (tmp_path / "mlflow.db").unlink()
    assert [e.name for e in open_store(uri).experiments()] == ["Default"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mlflow.db"], "nothing else is left in the folder"


def test_a_new_store_points_into_its_own_folder(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/deep/er/mlflow.db")
    root = tmp_path / "deep" / "er" / "mlruns"
    assert store.experiments()[0].artifact_location == str(root / "0")
    assert store.create_experiment("e").artifact_location == str(root / "1")


FORK = """
import os, sys
from qnb.recorder.stores import open_store
store = open_store(sys.argv[1])
experiment = store.create_experiment("fork")
child = os.fork()
store.create_run(experiment, "parent" if child else "child", tags={})
if child:
    assert os.waitpid(child, 0)[1] == 0
    assert store.experiment(name="fork") == experiment
"""


def test_a_forked_child_opens_its_own_connection(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    subprocess.run([sys.executable, "-c", FORK, uri], check=True, timeout=60, cwd=tmp_path)
    store = open_store(uri)
    experiment = store.experiment(name="fork")
    assert experiment is not None
    assert {r.name for r in store.search([experiment.id])} == {"child", "parent"}


def test_relative_uris_start_at_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qnb.config._current", None)
    monkeypatch.setenv("QNB_WORK_DIR", str(tmp_path))
    assert Settings.from_env().tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
    with R.uri_context("sqlite:///other.db"):
        R.get_exp(experiment_name="mine")
    assert (tmp_path / "other.db").exists()
    through = Settings.from_env().with_(recorder_uri="mlflow+sqlite:///other.db")
    assert through.tracking_uri == f"mlflow+sqlite:///{tmp_path}/other.db"


@pytest.mark.parametrize("uri", ["file:///data/mlruns", "/data/mlruns", "./mlruns", "mlruns"])
def test_a_folder_is_answered_with_the_uri_to_use(uri: str) -> None:
    with pytest.raises(RecorderError, match=r"sqlite:///.*mlruns/mlflow\.db"):
        open_store(uri)


def test_the_empty_store_is_made_once_and_ahead_if_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        path.write_bytes(b"tables")

    monkeypatch.setattr("qnb.recorder.template._make", make)
    for _ in range(3):
        prepare(tmp_path)
    end = time.monotonic() + 60
    while not (made and made[0].exists()) and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)
    assert [p.parent for p in made] == [tmp_path / "mlflow"]
    assert made[0].name == f"empty-{version('mlflow')}.db"


def test_mlflow_that_cannot_make_its_tables_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qnb.recorder.template.sys.executable", "/bin/false")
    with pytest.raises(RecorderError, match="could not make its tables"):
        open_store(f"sqlite:///{tmp_path}/mlflow.db", cache_dir=tmp_path / "cache")
    assert not (tmp_path / "mlflow.db").exists()
