"""Where a round is played: a fresh working folder, a temporary folder of its own, and who runs there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from qnb.config import Settings
from qnb.handle import RunHandle
from qnb.pool.place import Place
from qnb.rundir import list_run_dirs
from qnb.tuning.handle import StudyHandle
from qnb.tuning.studydir import list_studies

__all__ = ["Scene"]

MARK = "QNB_CHAOS_ROUND"
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Scene:
    """The folders of one round.

    Attributes
    ----------
    work, tmp, home : Path
        Working folder, temporary folder, and a place for what Jupyter keeps.
    uri : str
        Where runs are recorded.
    """

    work: Path
    tmp: Path
    home: Path
    uri: str = ""
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        for folder in (self.work, self.tmp, self.home):
            folder.mkdir(parents=True, exist_ok=True)
        self.uri = self.uri or f"sqlite:///{self.work}/mlflow.db"
        self.environment = {
            MARK: str(self.work), "PYTHONPATH": str(ROOT), "QNB_RECORDER_URI": self.uri, "QNB_WORK_DIR": str(self.work),
            "QNB_WORKERS": "2", "TMPDIR": str(self.tmp), "IPYTHONDIR": str(self.home / "ipython"),
            "JUPYTER_RUNTIME_DIR": str(self.home / "runtime"),
        }  # fmt: skip

    @property
    def settings(self) -> Settings:
        """Settings as the processes of the round have them."""
        return Settings(work_dir=self.work, recorder_uri=self.uri)

    @property
    def place(self) -> Place:
        """The pool's folder."""
        return Place(self.work)

    def shell(self, *command: str) -> subprocess.Popen[str]:
        """Start ``qnb COMMAND`` as in a shell; what it says goes to a file in `home`."""
        with (self.home / f"{command[0]}.txt").open("a") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "qnb.cli", *command], cwd=self.work, env=os.environ | self.environment,
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, text=True, start_new_session=True,
            )  # fmt: skip

    def runs(self) -> list[RunHandle]:
        """Return all runs."""
        return [RunHandle(d) for d in list_run_dirs(self.settings.runs_dir)]

    def studies(self) -> list[StudyHandle]:
        """Return all studies."""
        return [StudyHandle(d) for d in list_studies(self.settings)]

    def journals(self) -> list[Path]:
        """Return the files that runs and studies write their events to."""
        found = [r.directory.path / "journal.ndjson" for r in self.runs()]
        return found + [d.path / "events.ndjson" for d in list_studies(self.settings)]

    def processes(self) -> list[psutil.Process]:
        """Return the processes that live and were started in this round, directly or not."""
        return [p for p in psutil.process_iter() if self._is_mine(p)]

    def named(self, word: str) -> list[psutil.Process]:
        """Return those whose command line has `word`."""
        return [p for p in self.processes() if word in _command(p)]

    def workers(self) -> list[psutil.Process]:
        """Return the pool's workers, those that run something first."""
        busy = [r.state.pid for r in self.runs() if r.status == "running"]
        pids = [*busy, *self._idle_workers()]
        mine = {p.pid: p for p in self.processes()}
        return [mine[pid] for pid in dict.fromkeys(pids) if pid in mine]

    def _idle_workers(self) -> Iterator[int]:
        for path in self.place.workers.glob("*.pid"):
            text = path.read_text() if path.exists() else ""
            if text:
                yield int(text.split()[0])

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return process.environ().get(MARK) == str(self.work)
        except (psutil.Error, OSError):
            return False


def _command(process: psutil.Process) -> str:
    try:
        return json.dumps(process.cmdline())
    except psutil.Error:
        return ""
