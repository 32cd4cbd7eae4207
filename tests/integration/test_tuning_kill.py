"""Studies survive kill -9 of a worker, of the manager, of a real notebook kernel and of the whole tree.

``QNB_KILL_MOMENTS=20 pytest tests/integration/test_tuning_kill.py`` is the long form; the suite runs one of each.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest

from qnb.config import Settings
from qnb.tuning.studydir import StudyDir, list_studies

from .studies import assert_each_trial_once

MOMENTS = int(os.environ.get("QNB_KILL_MOMENTS", "5"))
TRIALS = 8
WORKFLOW = """\
market: demo:instruments=40,years=4
model:
  lightgbm:
    learning_rate: !loguniform [0.02, 0.3]
    num_leaves: !int [4, 32]
    num_boost_round: 40
    early_stopping_rounds: 10
strategy: {topk: 8, n_drop: 1}
features:
  MOM: $close/Ref($close, 5) - 1
  VOL: Std($close/Ref($close, 1), 10)
  VR: $volume/Mean($volume, 10)
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


class _User(Protocol):
    """Who runs a study, and goes on with it after a kill."""

    def start(self) -> None: ...
    def pid(self) -> int: ...
    def go_on(self) -> None: ...
    def close(self) -> None: ...


class _Shell:
    """``qnb tune`` in a shell."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "tune.yaml").write_text(WORKFLOW + f"study: {{trials: {TRIALS}, jobs: 2, threads: 1}}\n")
        self._env = {**os.environ, "QNB_WORK_DIR": str(folder)}
        self._command = [sys.executable, "-m", "qnb.cli", "tune", "-c", "tune.yaml"]

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, cwd=self._folder, env=self._env, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def pid(self) -> int:
        return self._process.pid

    def go_on(self) -> None:
        if self._process.wait(timeout=120) != 0:
            done = subprocess.run(
                [*self._command, "--resume"], cwd=self._folder, env=self._env, capture_output=True, check=False
            )
            assert done.returncode == 0, done.stderr.decode()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class _Notebook:
    """``%%qtune`` in a real kernel, and in a new one after the kill."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self) -> None:
        self._open()
        self._run(f"%%qtune k --trials {TRIALS} --jobs 2 --threads 1\n{WORKFLOW}")

    def pid(self) -> int:
        return int(self._kernel.provisioner.pid)

    def go_on(self) -> None:
        self.close()
        self._open()
        self._run(f"%%qtune k --trials {TRIALS} --jobs 2 --threads 1 --resume\n{WORKFLOW}")
        self._run("assert k.wait(timeout=120).status == 'finished', k.status")

    def close(self) -> None:
        self._client.stop_channels()
        self._kernel.shutdown_kernel(now=True)

    def _open(self) -> None:
        from jupyter_client import KernelManager

        env = os.environ | {
            "QNB_WORK_DIR": str(self._folder), "IPYTHONDIR": str(self._folder / "ipython"),
            "JUPYTER_RUNTIME_DIR": str(self._folder / "runtime"),
        }  # fmt: skip
        self._kernel = KernelManager()
        self._kernel.start_kernel(cwd=str(self._folder), env=env)
        self._client = self._kernel.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=150)
        self._run("%load_ext qnb")

    def _run(self, code: str) -> None:
        reply: Any = self._client.execute(code, reply=True, timeout=150)
        assert reply["content"]["status"] == "ok", reply["content"].get("evalue")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_whatever_is_killed_when_a_resumed_study_has_each_trial_once(tmp_path: Path, moment: int) -> None:
    rng = random.Random(1000 + moment)
    what = ("worker", "manager", "tree", "kernel", "kernel and tree")[moment % 5]
    settings = Settings(work_dir=tmp_path)
    user: _User = _Notebook(tmp_path) if what.startswith("kernel") else _Shell(tmp_path)
    user.start()
    try:
        _wait_for(settings, rng.choice(["StudyStarted", "JobStarted", "TrialEnded"]))
        time.sleep(rng.uniform(0.0, 1.5))
        _kill(user.pid(), what, list_studies(settings)[0])
        user.go_on()
    finally:
        user.close()
    (directory,) = list_studies(settings)
    assert_each_trial_once(directory, settings.tracking_uri, TRIALS)


def _wait_for(settings: Settings, event: str) -> None:
    end = time.monotonic() + 150
    while time.monotonic() < end:
        found = list_studies(settings)
        path = found[0].path / "events.ndjson" if found else None
        if path is not None and path.exists() and f'"{event}"' in path.read_text():
            return
        time.sleep(0.02)
    pytest.fail(f"no {event}")


def _kill(user: int, what: str, directory: StudyDir) -> None:
    """Kill -9; a manager's workers must go with it, a kernel's study must not."""
    mine = [p for p in psutil.process_iter() if _is_of(p, directory)]
    workers = [p for p in mine if "qnb.tuning.worker" in p.cmdline()]
    managers = [p for p in mine if "qnb.tuning.manager" in p.cmdline()]
    asked = psutil.Process(user) if psutil.pid_exists(user) else None
    victims = {
        "worker": workers[:1], "manager": [asked], "tree": [*workers, asked], "kernel": [asked],
        "kernel and tree": [asked, *managers, *workers],
    }[what]  # fmt: skip
    for victim in victims:
        if victim is not None and victim.is_running():
            victim.kill()
    if what not in ("worker", "kernel"):
        psutil.wait_procs(workers, timeout=60)
        assert not any(w.is_running() and w.status() != psutil.STATUS_ZOMBIE for w in workers), "workers go, too"


def _is_of(process: psutil.Process, directory: StudyDir) -> bool:
    try:
        return str(directory.path) in process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False
