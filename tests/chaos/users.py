"""Who works while things are killed: a notebook with three tasks, ``qnb run`` in a shell, a study in either."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import time
from typing import Protocol

import psutil

from qnb.handle import RunHandle

from ..integration.kernels import Notebook
from .rounds import Round
from .scene import Scene

__all__ = ["TRIALS", "User", "user_of"]

TRIALS = 4
DATA = """\
market: demo:instruments=20,years=3
features:
  MOM: $close/Ref($close, 5) - 1
  VOL: Std($close/Ref($close, 1), 10)
  VR: $volume/Mean($volume, 10)
"""
TASKS = {
    "linear": f"{DATA}model: linear\nstrategy: {{topk: 5, n_drop: 1}}\n",
    "boosted": f"""{DATA}strategy: {{topk: 5, n_drop: 1}}
model:
  lightgbm: {{learning_rate: 0.05, num_leaves: 8, num_boost_round: 80, early_stopping_rounds: 80}}
""",
    "deep": f"""{DATA}step_len: 5
model:
  gru: {{d_feat: 3, hidden_size: 8, num_layers: 1, n_epochs: 6, early_stop: 6, lr: 0.003, batch_size: 128, GPU: null}}
records: [SignalRecord]
""",
}
STUDY = f"""{DATA}strategy: {{topk: 5, n_drop: 1}}
model:
  lightgbm:
    learning_rate: !loguniform [0.02, 0.3]
    num_leaves: !int [4, 16]
    num_boost_round: 30
    early_stopping_rounds: 10
study: {{trials: {TRIALS}, jobs: 2, threads: 1}}
"""


class User(Protocol):
    """Starts something, is there when it is killed, and comes back."""

    def start(self) -> None:
        """Begin."""

    def victims(self) -> list[psutil.Process]:
        """Return what may be killed now, the best first."""

    def come_back(self) -> None:
        """Do what a user does after a crash: open the notebook again, look, go on with a study."""

    def go_on(self, run: RunHandle) -> None:
        """Resume a run that is over and not finished; without a checkpoint, try it again."""

    def close(self) -> None:
        """Leave; what goes on goes on."""


class _InNotebook:
    """A notebook that can be opened again."""

    def __init__(self, scene: Scene, played: Round) -> None:
        self.scene, self.played = scene, played
        self._notebook: Notebook | None = None

    def open(self) -> Notebook:
        """Return the notebook, a new one where there is none or its kernel is gone."""
        if self._notebook is not None and not _lives(self._notebook.pid):
            self._notebook.close(kill=True)
            self._notebook = None
        if self._notebook is None:
            self._notebook = Notebook(self.scene.work, **self.scene.environment)
            self._notebook.run("%load_ext qnb")
        return self._notebook

    def come_back(self) -> None:
        """Open the notebook again, which tells what is going and what was interrupted."""
        self.open()

    def go_on(self, run: RunHandle) -> None:
        """Resume, or try again."""
        if run.directory.has_checkpoint:
            self.open().run(f"%qresume {run.run_id}")
        else:
            find = f"from qnb.session import current_session as s; s().retry(s().find({run.run_id!r}))"
            self.open().run(find)

    def close(self) -> None:
        """Shut the kernel down."""
        if self._notebook is not None:
            self._notebook.close()
            self._notebook = None


class PoolUser(_InNotebook):
    """Submits three tasks to the pool."""

    def start(self) -> None:
        """Begin."""
        names = list(TASKS)
        random.Random(f"{self.played.seed}:{self.played.number}").shuffle(names)
        notebook = self.open()
        for name in names:
            notebook.run(f"%%qtask {name}\n{TASKS[name]}")

    def victims(self) -> list[psutil.Process]:
        """Return what may be killed now."""
        match self.played.victim:
            case "worker":
                return self.scene.workers()
            case "owner":
                return self.scene.named("qnb.pool.owner")
            case "fork server":
                workers = {p.pid for p in self.scene.workers()}
                servers = self.scene.named("qnb.pool.forkserver")
                return [p for p in servers if p.pid not in workers]
            case _:
                return [psutil.Process(self.open().pid)]


class ShellUser(_InNotebook):
    """Types ``qnb run``; looks after it in a notebook."""

    def start(self) -> None:
        """Begin."""
        name = random.Random(f"{self.played.seed}:{self.played.number}").choice(list(TASKS))
        (self.scene.work / f"{name}.yaml").write_text(TASKS[name])
        self._command = ("run", f"{name}.yaml")
        self._process = self.scene.shell(*self._command)

    def victims(self) -> list[psutil.Process]:
        """Return the command."""
        return _living(self._process)

    def come_back(self) -> None:
        """Look what became of it; type it again where it had not come as far as a run."""
        self.open()
        if not self.scene.runs() and not _living(self._process):
            self._process = self.scene.shell(*self._command)

    def close(self) -> None:
        """Leave the notebook; the command has ended."""
        self._process.wait(60)
        super().close()


class StudyUser(_InNotebook):
    """Starts a study in a shell or in a notebook, and goes on with it there."""

    def start(self) -> None:
        """Begin."""
        self._process: subprocess.Popen[str] | None = None
        if self.played.notebook:
            self.open().run(f"%%qtune study\n{STUDY}")
        else:
            (self.scene.work / "study.yaml").write_text(STUDY)
            self._process = self.scene.shell("tune", "-c", "study.yaml")

    def victims(self) -> list[psutil.Process]:
        """Return the process that manages the study."""
        return self.scene.named("qnb.tuning.manager") if self._process is None else _living(self._process)

    def come_back(self) -> None:
        """Go on with the study where it is not finished."""
        if self._process is None:
            notebook = self.open()
            if any(s.is_over and s.status != "finished" for s in self.scene.studies()):
                notebook.run(f"%%qtune study --resume\n{STUDY}")
        elif not _living(self._process) and self._process.returncode != 0:
            resume = ["--resume"] if self.scene.studies() else []
            self._process = self.scene.shell("tune", "-c", "study.yaml", *resume)

    def close(self) -> None:
        """Leave."""
        if self._process is not None:
            self._process.wait(60)
        super().close()


def user_of(scene: Scene, played: Round) -> User:
    """Return who works in a round."""
    kinds: dict[str, type[PoolUser | ShellUser | StudyUser]] = {"qnb run": ShellUser, "study manager": StudyUser}
    return kinds.get(played.victim, PoolUser)(scene, played)


def kill(process: psutil.Process) -> None:
    """Kill -9, and see it end: who comes back at once is not to find it alive."""
    process.send_signal(signal.SIGKILL)
    while _lives(process.pid):
        time.sleep(0.005)


def _living(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [psutil.Process(process.pid)] if process.poll() is None else []


def _lives(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
