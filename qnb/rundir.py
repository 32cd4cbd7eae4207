"""The directory of a run: what is written there, by whom, and how a run is asked to stop.

``request.json``    what to run: task, settings, name (by whoever submits, before the worker starts)
``task.yaml``       the resolved task, for people
``journal.ndjson``  every event (see `qnb.journal`)
``log.txt``         standard output and error of the worker
``stop``            exists when somebody asked the run to stop
``result.json``     the outcome, written last and at once
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import Settings
from .errors import PoolError, UnknownNameError
from .events import STAGES, RunQueued
from .journal import JournalWriter
from .task.spec import Task

__all__ = [
    "Request",
    "RunDir",
    "create_run",
    "find_run_dir",
    "list_run_dirs",
    "stages_of",
    "write_atomically",
]


@dataclass(frozen=True, slots=True)
class Request:
    """What a worker is asked to do.

    Attributes
    ----------
    threads : int
        CPU threads the worker may use.
    resume : bool
        Go on from the checkpoint in the run's directory.
    """

    run_id: str
    name: str
    task: Task
    settings: Settings
    threads: int
    seed: int | None = None
    resume: bool = False


@dataclass(frozen=True, slots=True)
class RunDir:
    """Paths of one run and the few things done to them."""

    path: Path

    @property
    def run_id(self) -> str:
        """The run's id, which is the directory's name."""
        return self.path.name

    @property
    def log_path(self) -> Path:
        """File with the worker's standard output and error."""
        return self.path / "log.txt"

    @property
    def checkpoint_dir(self) -> Path:
        """Folder for a model's checkpoints."""
        return self.path / "checkpoint"

    def request(self) -> Request:
        """Return what was submitted.

        Raises
        ------
        PoolError
            When the directory holds no request.
        """
        try:
            raw = json.loads((self.path / "request.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PoolError(f"{self.path} holds no readable request.json: {error}; submit the task again") from error
        return Request(
            raw["run_id"], raw["name"], Task.from_json(raw["task"]), Settings.from_json(raw["settings"]),
            raw["threads"], raw.get("seed"), bool(raw.get("resume")),
        )  # fmt: skip

    def ask_to_stop(self) -> None:
        """Leave the request to stop; the worker sees it at its next safe place."""
        (self.path / "stop").touch()

    def stop_asked(self) -> bool:
        """Return whether somebody asked the run to stop."""
        return (self.path / "stop").exists()

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write the outcome, all at once."""
        write_atomically(self.path / "result.json", json.dumps(result, indent=1, default=str))

    def result(self) -> dict[str, Any] | None:
        """Return the outcome, or None while there is none."""
        try:
            return json.loads((self.path / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None


def create_run(task: Task, settings: Settings, *, name: str = "", seed: int | None = None) -> RunDir:
    """Make a run's directory, write the request and the journal's first event.

    Parameters
    ----------
    task : Task
        What to run.
    settings : Settings
        Effective settings, those of the task's own init section included.
    name : str
        Name of the run; the task's name by default.
    """
    run_id = uuid.uuid4().hex[:12]
    name = name or task.name or "run"
    directory = RunDir(settings.runs_dir / run_id)
    directory.path.mkdir(parents=True, exist_ok=False)
    request = {
        "run_id": run_id, "name": name, "task": task.to_json(), "settings": settings.to_json(),
        "threads": settings.threads, "seed": seed,
    }  # fmt: skip
    write_atomically(directory.path / "request.json", json.dumps(request, default=str))
    write_atomically(directory.path / "task.yaml", task.to_yaml())
    with JournalWriter(directory.path) as journal:
        journal.append(
            RunQueued(
                run_id=run_id, name=name, experiment=task.experiment or settings.experiment,
                stages=stages_of(task), task_hash=task.hash,
            )
        )  # fmt: skip
    return directory


def stages_of(task: Task) -> tuple[str, ...]:
    """Return the stages that `task` goes through, in order; a stage it lacks is left out."""
    names = [str(r.get("class", r)) if isinstance(r, Mapping) else str(r) for r in task.records]
    wanted = {"data", "fit", "report"}
    for name in names:
        stage = _STAGE_OF.get(name.rpartition(".")[2])
        if stage:
            wanted.add(stage)
    return tuple(s for s in STAGES if s in wanted)


_STAGE_OF = {
    "SignalRecord": "predict",
    "SigAnaRecord": "signal",
    "PortAnaRecord": "portfolio",
    "MultiPassPortAnaRecord": "portfolio",
}


def list_run_dirs(runs_dir: Path) -> list[RunDir]:
    """Return the runs below `runs_dir`, newest first."""
    if not runs_dir.is_dir():
        return []
    found = [(p.stat().st_mtime, p) for p in runs_dir.iterdir() if (p / "request.json").exists()]
    return [RunDir(p) for _, p in sorted(found, key=lambda x: -x[0])]


def find_run_dir(runs_dir: Path, ref: str) -> RunDir:
    """Return the run that `ref` names: an id, the first characters of one, or a name (its newest run).

    Raises
    ------
    UnknownNameError
        With the nearest names.
    """
    directories = list_run_dirs(runs_dir)
    for directory in directories:
        if directory.run_id == ref:
            return directory
    names: dict[str, RunDir] = {}
    for directory in directories:
        try:
            names.setdefault(directory.request().name, directory)
        except PoolError:
            continue
    if ref in names:
        return names[ref]
    matching = [d for d in directories if len(ref) >= 4 and d.run_id.startswith(ref)]
    if len(matching) == 1:
        return matching[0]
    raise UnknownNameError("run", ref, [*names, *(d.run_id for d in directories)], hint="`qnb runs` lists them")


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` so that a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
