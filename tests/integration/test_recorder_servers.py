"""The recorder behind servers: MLflow's own, ones that do not answer, PostgreSQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qnb.config import Settings
from qnb.errors import RecorderError
from qnb.recorder import Experiment, Recorder
from qnb.recorder.facade import RecorderFacade
from qnb.recorder.patience import Patience
from qnb.recorder.stores import open_store

from .postgres import free_port

ONE_RUN = """
import sys
from qnb.recorder.facade import RecorderFacade
r = RecorderFacade()
with r.uri_context(sys.argv[1]), r.start(experiment_name="same", recorder_name=sys.argv[2]):
    r.log_metrics(x=1.0)
"""


def round_trip(uri: str) -> Recorder:
    """Record a run of every kind of thing at `uri`, read it again, and return its recorder."""
    facade = RecorderFacade()
    frame = pd.DataFrame({"score": np.arange(3, dtype="float32")}, index=pd.Index(["a", "b", "c"], name="instrument"))
    with facade.uri_context(uri):
        with facade.start(experiment_name="trip", recorder_name="r"):
            facade.log_params(fields="x" * 10_000, rate=0.1)
            for step in range(50):
                facade.log_metrics(step=step, loss=1 / (step + 1))
            facade.set_tags(market="demo")
            facade.save_objects(artifact_path="deep/er", **{"pred.pkl": frame, "config.pkl": {"a": 1}})
        found = facade.get_recorder(experiment_name="trip", recorder_name="r")
        table = facade.search_records([found.experiment_id], "metrics.loss < 0.03 and tags.market = 'demo'")
    assert list(table["run_id"]) == [found.id]
    assert found.status == "FINISHED"
    assert len(found.metric_history("loss")) == 50
    assert found.list_params()["fields"] == "x" * 10_000
    pd.testing.assert_frame_equal(found.load_object("deep/er/pred.pkl"), frame)
    assert found.load_object("deep/er/config") == {"a": 1}
    return found


@pytest.fixture(scope="module")
def mlflow_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """MLflow's own server, which keeps the artifacts, too: its process group and its address."""
    for _ in range(3):  # another process may take the free port first
        folder = tmp_path_factory.mktemp("server")
        port = free_port()
        server = _start_mlflow(folder, port)
        if _answers(server, port):
            break
    else:
        pytest.fail((folder / "log").read_text())
    try:
        yield server, f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, 15)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
            server.wait()


@pytest.fixture
def mlflow_server(mlflow_process: tuple[subprocess.Popen[bytes], str]) -> str:
    """The address of MLflow's own server."""
    return mlflow_process[1]


def _start_mlflow(folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = [
        sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination", str(folder / "kept"),
    ]  # fmt: skip
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True)


def _answers(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers; False when it has ended."""
    end = time.monotonic() + 150
    while server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
            return True
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.1)
    return False


def _told(uri: str) -> tuple[str, float]:
    """Return what is said of the store at `uri`, and the seconds until then where the libraries are loaded."""
    facade = RecorderFacade()
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        with facade.uri_context(uri), pytest.raises(RecorderError) as caught:
            facade.list_experiments()
        seconds.append(time.monotonic() - began)
    return str(caught.value), min(seconds)


@pytest.mark.slow
def test_runs_are_kept_by_mlflows_server(mlflow_server: str, tmp_path: Path) -> None:
    recorder = round_trip(mlflow_server)
    assert recorder.artifact_dir is None
    assert recorder.list_artifacts("deep/er") == ["deep/er/config.json", "deep/er/pred.parquet"]
    copied = recorder.download_artifact("deep/er/config.json", tmp_path / "copy")
    assert Path(copied).read_text().strip().startswith("{")
    with pytest.raises(RecorderError, match="not on this machine"):
        recorder.get_local_dir()
    with pytest.raises(RecorderError, match=r"has no artifact 'pred\.pkl'"):
        recorder.load_object("pred.pkl")


@pytest.mark.slow
def test_a_server_that_stands_still_gets_metrics_and_files_later(
    mlflow_process: tuple[subprocess.Popen[bytes], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, uri = mlflow_process
    monkeypatch.setattr("qnb.recorder.mlflow.CALL_SECONDS", 3.0)
    monkeypatch.setattr("qnb.recorder.mlflow._TRANSFERS", {})
    monkeypatch.setattr("qnb.recorder.probe.CONNECT_SECONDS", 1.0)
    monkeypatch.setattr("qnb.recorder.stores._stores", {})  # the limits are taken when a store is opened
    settings = Settings(work_dir=tmp_path, recorder_uri=uri)
    store = open_store(uri)
    recorder = Experiment(store, store.create_experiment("still"), settings).create_recorder("r")
    told: list[str] = []
    recorder.start_run(survey=False).wait_for_store(Patience(1.0, tell=told.append))
    recorder.save_objects(**{"before.json": {"b": 0}})
    recorder.flush()
    os.killpg(server.pid, signal.SIGSTOP)
    try:
        recorder.log_metrics(x=1.0)
        recorder.save_objects(artifact_path="deep", **{"a.json": {"a": 1}})
        assert recorder.load_object("deep/a") == {"a": 1}
        assert recorder.list_metrics() == {"x": 1.0}
        recorder.end_run()
    finally:
        os.killpg(server.pid, signal.SIGCONT)
    assert "waiting for that" in told[0]
    assert "written by itself when the store answers again" in told[-1]
    open_store(uri, cache_dir=settings.cache_dir, work_dir=tmp_path)
    found = Recorder(store, store.run(recorder.id), settings)
    assert (found.status, found.list_metrics()) == ("FINISHED", {"x": 1.0})
    assert found.load_object("deep/a") == {"a": 1}
    assert not (tmp_path / ".qnb" / "unwritten").exists()


def test_a_server_that_is_not_there_is_told_within_seconds(yardstick: Callable[[], float]) -> None:
    with socket.socket() as taken:  # and nobody listens there
        taken.bind(("127.0.0.1", 0))
        told, seconds = _told(f"http://me:hunter2@127.0.0.1:{taken.getsockname()[1]}")
    assert seconds < 300 * yardstick()
    assert "hunter2" not in told
    assert "start the server" in told


def test_a_server_that_says_nothing_is_told_within_seconds(
    monkeypatch: pytest.MonkeyPatch, yardstick: Callable[[], float]
) -> None:
    monkeypatch.setattr("qnb.recorder.probe.CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told, seconds = _told(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "no answer within" in told
    assert seconds < 500 * yardstick()


def test_a_database_without_its_driver_names_the_package() -> None:
    facade = RecorderFacade()
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"mysql+pymysql://me:hunter2@127.0.0.1:{server.getsockname()[1]}/db"
        with facade.uri_context(uri), pytest.raises(RecorderError, match="pip install pymysql") as caught:
            facade.list_experiments()
    assert "hunter2" not in str(caught.value)


def test_a_host_without_a_name_is_told() -> None:
    facade = RecorderFacade()
    with facade.uri_context("postgresql://me:hunter2@no-such-host.invalid/db"), pytest.raises(RecorderError) as caught:
        facade.list_experiments()
    assert "no-such-host.invalid:5432" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_wrong_password_is_told_at_once(postgres: str, yardstick: Callable[[], float]) -> None:
    told, seconds = _told(postgres.replace("hunter2", "hunter3"))
    assert "refuses the connection" in told
    assert "hunter3" not in told
    assert seconds < 500 * yardstick()


@pytest.mark.slow
def test_processes_make_the_tables_of_a_new_postgresql_at_once(postgres: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", ONE_RUN, postgres]
    processes = [
        subprocess.Popen([*command, f"r{k}"], stderr=subprocess.PIPE, text=True, cwd=tmp_path) for k in range(2)
    ]
    failures = [error for p in processes for error in [p.communicate(timeout=250)[1]] if p.returncode]
    assert not failures
    facade = RecorderFacade()
    with facade.uri_context(postgres):
        assert len(facade.list_recorders(experiment_name="same")) == 2


def test_runs_are_kept_in_postgresql(postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # MLflow puts artifacts of a database store below the working folder
    recorder = round_trip(postgres)
    assert recorder.uri == postgres
    assert "hunter2" not in repr([recorder, recorder.info, recorder.list_params(), recorder.list_tags()])
