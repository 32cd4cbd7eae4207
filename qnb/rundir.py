"""The directory of a run: what is written there, by whom, and how a run is asked to stop.

``request.json``    what to run: task, settings, name (by whoever submits, before the worker starts)
``task.yaml``       the resolved task, for people
``journal.ndjson``  every event (see `qnb.journal`)
``log.txt``         standard output and error of the worker
``stop``            exists when somebody asked the run to stop; its text is the reason
``recorder.json``   where the run is recorded, as soon as it is
``main.pkl``        classes of the notebook's cells that the task names, by value; only for the user's own workers
``result.json``     the outcome, written last and at once
``deleted``         exists when the run was deleted in a browser; `qnb.cleaning` removes such folders
"""

from __future__ import annotations

import contextlib
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
from .machine import ProcessId, boot_id, process_id
from .task.spec import Task

__all__ = [
    "TIME_LIMIT",
    "Request",
    "RunDir",
    "create_run",
    "find_run_dir",
    "list_run_dirs",
    "stages_of",
    "write_atomically",
]


NOBODY = ProcessId(0)
TIME_LIMIT = "time limit"
"""First words of the reason to stop when a run has taken longer than it may."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a worker is asked to do.

    Attributes
    ----------
    threads : int
        CPU threads the worker may use.
    resume : bool
        Go on from the checkpoint in the run's directory.
    submitter : ProcessId
        The process that submitted it.
    boot : str
        Start of the machine in which it was submitted (`qnb.machine.boot_id`).
    retry_of : str
        Id of the run that this one tries again.
    """

    run_id: str
    name: str
    task: Task
    settings: Settings
    threads: int
    seed: int | None = None
    resume: bool = False
    submitter: ProcessId = NOBODY
    boot: str = ""
    retry_of: str = ""


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
            raw["threads"], raw.get("seed"), bool(raw.get("resume")), ProcessId(*raw.get("submitter", (0,))),
            raw.get("boot", ""), raw.get("retry_of", ""),
        )  # fmt: skip

    def set_resume(self, resume: bool) -> None:
        """Note in the request whether the next worker goes on from the checkpoint."""
        self._change_request("resume", resume)

    def rename(self, name: str) -> None:
        """Give the run another name; handles and panels, of other processes too, see it at their next look."""
        self._change_request("name", name)

    def _change_request(self, key: str, value: object) -> None:
        path = self.path / "request.json"
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw.get(key) != value:
            raw[key] = value
            before = path.stat()
            write_atomically(path, json.dumps(raw))
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # runs are listed by when they were submitted

    def request_mark(self) -> tuple[int, int]:
        """Return something that is different after the request was changed; zeros without one."""
        try:
            found = (self.path / "request.json").stat()
        except OSError:
            return 0, 0
        return found.st_ino, found.st_ctime_ns  # its mtime stays, see above

    @property
    def is_deleted(self) -> bool:
        """Whether the run was deleted; its folder is there until it is cleaned up."""
        return (self.path / "deleted").exists()

    def set_deleted(self, deleted: bool) -> None:
        """Hide the run from lists, or have it there again."""
        if deleted:
            (self.path / "deleted").touch()
        else:
            (self.path / "deleted").unlink(missing_ok=True)

    @property
    def has_checkpoint(self) -> bool:
        """Whether a model left something to go on from."""
        folder = self.checkpoint_dir  # hidden in it: the run's seed, and what a killed process was writing
        return folder.is_dir() and any(not p.name.startswith(".") for p in folder.iterdir())

    @property
    def objects_path(self) -> Path:
        """File with the classes of the notebook that the task names."""
        return self.path / "main.pkl"

    def ask_to_stop(self, reason: str = "") -> None:
        """Leave the request to stop; the worker sees it at its next safe place."""
        if not self.stop_asked():
            (self.path / "stop").write_text(reason, encoding="utf-8")

    def stop_reason(self) -> str:
        """Return why the run was asked to stop; empty when a person did, or nobody."""
        try:
            return (self.path / "stop").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def forget_ending(self) -> None:
        """Take back the request to stop and the outcome, before the run goes on."""
        for name in ("stop", "result.json"):
            (self.path / name).unlink(missing_ok=True)

    def write_recorder(self, recorder_id: str, experiment: str) -> None:
        """Note where the run is recorded."""
        write_atomically(self.path / "recorder.json", json.dumps({"id": recorder_id, "experiment": experiment}))

    def recorder(self) -> tuple[str, str] | None:
        """Return id and experiment of the recorder, or None while there is none."""
        try:
            raw = json.loads((self.path / "recorder.json").read_text(encoding="utf-8"))
            return str(raw["id"]), str(raw["experiment"])
        except (OSError, ValueError, KeyError):
            return None

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


def create_run(
    task: Task,
    settings: Settings,
    *,
    name: str = "",
    seed: int | None = None,
    retry_of: str = "",
    objects: bytes | None = None,
) -> RunDir:
    """Make a run's directory, write the request and the journal's first event.

    Parameters
    ----------
    task : Task
        What to run.
    settings : Settings
        Effective settings, those of the task's own init section included.
    name : str
        Name of the run; the task's name by default.
    seed : int, optional
        Seed of the model where the task gives none.
    retry_of : str
        Id of the run that this one tries again.
    objects : bytes, optional
        Classes of the notebook that the task names, pickled by value.
    """
    run_id = uuid.uuid4().hex[:12]
    name = name or task.name or "run"
    directory = RunDir(settings.runs_dir / run_id)
    directory.path.mkdir(parents=True, exist_ok=False)
    request = {
        "run_id": run_id, "name": name, "task": task.to_json(), "settings": settings.to_json(),
        "threads": settings.threads, "seed": seed, "submitter": [*_identity()], "boot": boot_id(),
        "retry_of": retry_of,
    }  # fmt: skip
    if objects is not None:
        directory.objects_path.touch(mode=0o600)
        directory.objects_path.write_bytes(objects)
    write_atomically(directory.path / "task.yaml", task.to_yaml())
    with JournalWriter(directory.path, sync=False) as journal:
        journal.append(
            RunQueued(
                run_id=run_id, name=name, experiment=task.experiment or settings.experiment,
                stages=stages_of(task), task_hash=task.hash, retry_of=retry_of,
            )
        )  # fmt: skip
    write_atomically(directory.path / "request.json", json.dumps(request, default=str))  # last: now it is a run
    return directory


def _identity() -> tuple[int, float]:
    own = process_id()
    return own.pid, own.began


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


def list_run_dirs(runs_dir: Path, *, deleted: bool = False) -> list[RunDir]:
    """Return the runs below `runs_dir`, newest first; deleted ones only if asked for."""
    if not runs_dir.is_dir():
        return []
    found = []
    for path in runs_dir.iterdir():
        with contextlib.suppress(OSError):  # no run, or one that is being deleted
            found.append(((path / "request.json").stat().st_mtime_ns, path))
    runs = [RunDir(p) for _, p in sorted(found, key=lambda x: -x[0])]
    return runs if deleted else [r for r in runs if not r.is_deleted]


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
