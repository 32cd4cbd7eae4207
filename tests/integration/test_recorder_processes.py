"""The recorder among processes: six open a new store at once, one is killed while it logs, a server is missing."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qnb.errors import RecorderError
from qnb.recorder.facade import RecorderFacade

LOG_FOR_EVER = """
import sys, time
from qnb.recorder.facade import RecorderFacade
r = RecorderFacade()
with r.uri_context(sys.argv[1]), r.start(experiment_name="killed", recorder_name="k"):
    for step in range(10**6):
        r.log_metrics(step=step, loss=float(step))
        if step == 200:
            time.sleep(1.2)
            print("ready", flush=True)
        time.sleep(0.001)
"""
ONE_RUN = """
import sys
from qnb.recorder.facade import RecorderFacade
r = RecorderFacade()
with r.uri_context(sys.argv[1]), r.start(experiment_name="same", recorder_name=sys.argv[2]):
    r.log_metrics(x=1.0)
"""


def start(code: str, *words: str) -> subprocess.Popen[str]:
    """Start a Python process."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_six_processes_open_a_new_store_at_once(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    processes = [start(ONE_RUN, uri, f"r{k}") for k in range(6)]
    failures = [err for p in processes for err in [p.communicate(timeout=120)[1]] if p.returncode]
    assert not failures
    facade = RecorderFacade()
    with facade.uri_context(uri):
        found = facade.get_exp(experiment_name="same", create=False).list_recorders(status="FINISHED", rtype="list")
    assert sorted(r.name for r in found) == [f"r{k}" for k in range(6)]


def test_kill_9_while_logging_keeps_what_was_flushed(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    process = start(LOG_FOR_EVER, uri)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    facade = RecorderFacade()
    with facade.uri_context(uri):
        recorder = facade.get_recorder(experiment_name="killed", recorder_name="k")
        steps = [step for step, _ in recorder.metric_history("loss")]
    assert steps == list(range(len(steps)))
    assert len(steps) > 200


def test_an_unreachable_server_is_told_within_seconds() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    facade = RecorderFacade()
    began = time.monotonic()
    with facade.uri_context(f"http://me:hunter2@127.0.0.1:{port}"), pytest.raises(RecorderError) as caught:
        facade.list_experiments()
    assert time.monotonic() - began < 20
    assert "hunter2" not in str(caught.value)
    assert "start the server" in str(caught.value)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own on a free port."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not folders:
        pytest.skip("needs PostgreSQL's server (Debian package postgresql)")
    if shutil.which("psql") is None:
        pytest.skip("needs PostgreSQL's client")
    pytest.importorskip("psycopg2", reason="needs psycopg2 to reach PostgreSQL")
    import pwd

    bin_dir = Path(folders[-1])
    base = tmp_path_factory.mktemp("pg")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    as_user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("postgres")
        os.chown(base, user.pw_uid, user.pw_gid)
        for parent in base.parents:
            if str(parent).startswith("/tmp/pytest"):
                parent.chmod(0o755)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    data = str(base / "data")
    subprocess.run(
        [*as_user, str(bin_dir / "initdb"), "-D", data, "-U", "qnb", "-A", "trust"], check=True, capture_output=True
    )
    options = f"-p {port} -k {base} -c listen_addresses=127.0.0.1 -c fsync=off"
    control = [*as_user, str(bin_dir / "pg_ctl"), "-D", data, "-w"]
    subprocess.run([*control, "-o", options, "-l", str(base / "log"), "start"], check=True, stdout=subprocess.DEVNULL)
    try:
        subprocess.run(["createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "qnb", "mlflow"], check=True)
        yield f"postgresql+psycopg2://qnb@127.0.0.1:{port}/mlflow"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, stdout=subprocess.DEVNULL)


def test_runs_are_kept_in_postgresql(postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # MLflow puts artifacts of a database store below the working folder
    facade = RecorderFacade()
    with facade.uri_context(postgres):
        with facade.start(experiment_name="pg", recorder_name="r"):
            facade.log_metrics(IC=0.05)
            facade.save_objects(**{"settings.json": {"a": 1}})
        recorder = facade.get_recorder(experiment_name="pg", recorder_name="r")
        assert recorder.status == "FINISHED"
        assert recorder.list_metrics()["IC"] == 0.05
        assert recorder.load_object("settings.json") == {"a": 1}
