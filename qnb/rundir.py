"""The directory of a run: what is written there, by whom, and how a run is asked to stop.

``request.json``    what to run: task, settings, name (by whoever submits, before the worker starts), without secrets
``task.yaml``       the resolved task, for people, without secrets
``journal.ndjson``  every event (see `qnb.journal`)
``log.txt``         standard output and error of the worker
``stop``            exists when somebody asked the run to stop; its text is the reason
``recorder.json``   where the run is recorded, as soon as it is
``main.pkl``        classes of the notebook's cells that the task names, by value; only for the user's own workers
``result.json``     the outcome, written last and at once
``deleted``         exists when the run was deleted in a browser; `qnb.cleaning` removes such folders
``.lock``           held for a moment by whoever changes how the run stands
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypedDict

from .config import Settings
from .errors import PoolError, QnbError
from .events import RunQueued
from .files import AnyFloat, Natural, changing, fit, load_json, locked, make, read_json, remove, tell, write_atomically
from .journal import JOURNAL_NAME, JournalWriter
from .machine import ProcessId, boot_id, process_id
from .private import private_folder
from .project import project_of, used, with_place, without_place
from .refused import require_encodable
from .run_ids import new_run_id, only_with_id
from .secrets import Vault
from .task.records import stages_of
from .task.spec import Task

__all__ = [
    "TIME_LIMIT",
    "Request",
    "RunDir",
    "create_run",
    "find_run_dir",
    "list_run_dirs",
    "without_secrets",
]


NOBODY = ProcessId(0)
_OF = "# of the project "
"""How ``task.yaml`` begins, which names the places of files as they were then."""
_NAME = re.compile(rb'\{"run_id": "[^"\\]*", "name": ("(?:[^"\\]|\\.)*")')
MAKING = 60.0
"""Seconds after which a folder without a request is not one of a run that is being made."""
_LEFT = (JOURNAL_NAME, "task.yaml", "recorder.json", "result.json")
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
    threads: Natural
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
    def project(self) -> Path:
        """The folder that holds ``.qnb``, wherever it lies now."""
        return project_of(self.path)

    @property
    def log_path(self) -> Path:
        """File with the worker's standard output and error."""
        return self.path / "log.txt"

    @property
    def checkpoint_dir(self) -> Path:
        """Folder for a model's checkpoints."""
        return self.path / "checkpoint"

    def request(self) -> Request:
        """Return what was submitted: the settings as they were, the task without secrets (see `revealed`).

        Raises
        ------
        PoolError
            When the directory holds no request.
        """
        path, raw = self.path / "request.json", self._raw_request()
        try:
            raw = with_place(raw, self.project, was=dict(raw["settings"]).get("work_dir"))
            raw["settings"] = {**raw["settings"], "work_dir": str(self.project)}
            settings = Settings.from_json(Vault.beside(self.path).reveal(raw["settings"]))
            task = Task.from_json(raw["task"])
            found = {"run_id": self.run_id, "submitter": ProcessId.of(raw.get("submitter"))}
            request = make(Request, {**raw, **found, "task": task, "settings": settings})
        except (ValueError, KeyError, TypeError, QnbError) as error:
            raise self._damaged(error) from error
        unknown = ", ".join(sorted(raw["settings"].keys() - {f.name for f in fields(Settings)}))
        if unknown:
            tell(
                path, f"it has settings that are not known here ({unknown})", "update qnb if a newer version wrote them"
            )
        return request

    def revealed(self, task: Task) -> Task:
        """Return the request's task with its secrets, for the process that runs it.

        Raises
        ------
        PoolError
            When one is not there any more.
        """
        return replace(task, document=Vault.beside(self.path).reveal(task.document))

    def asks_for(self, task: Task) -> bool:
        """Return whether the run is one of `task`, which may hold secrets in the clear."""
        return self.request().task.hash == without_secrets(task, Vault.beside(self.path)).hash

    def _raw_request(self) -> dict[str, Any]:
        try:
            return load_json(self.path / "request.json")
        except (OSError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> PoolError:
        reason = getattr(error, "strerror", None) or str(error) + " is missing" * isinstance(error, KeyError)
        return PoolError(
            f"{self.path / 'request.json'} cannot be read ({reason}); what the run left can be shown and deleted, but "
            "it neither goes on nor can be tried again: submit its task anew"
        )

    def name(self) -> str:
        """Return the run's name, from the first bytes of the request: of many runs the tasks need not be read.

        Raises
        ------
        PoolError
            When the directory holds no request.
        """
        with contextlib.suppress(OSError, ValueError), open(f"{self.path}/request.json", "rb", buffering=0) as file:
            found = _NAME.match(file.read(1000))
            if found is not None:
                return str(json.loads(found[1]))
        return self.request().name

    def lock(self) -> AbstractContextManager[None]:
        """Hold the run's lock, which everybody does who changes how it stands: ends it, has it go on, deletes it.

        Raises
        ------
        OSError
            The folder is gone, or another process does not let go of the lock.
        """
        return locked(self.path / ".lock")

    def changing(self) -> AbstractContextManager[None]:
        """Do the same for a user, who is told what is in the way.

        Raises
        ------
        PoolError
            The folder is gone, cannot be written, or another process does not let go of the lock.
        """
        return changing(self.path, f"run {self.run_id}", PoolError)

    def set_resume(self, resume: bool) -> None:
        """Note in the request whether the next worker goes on from the checkpoint."""
        self._change_request("resume", resume)

    def rename(self, name: str) -> None:
        """Give the run another name; handles and panels, of other processes too, see it at their next look."""
        with self.changing():
            self._change_request("name", name)

    def _change_request(self, key: str, value: object) -> None:
        path, raw = self.path / "request.json", self._raw_request()
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

    def task_text(self) -> str:
        """Return the resolved task as YAML, with the paths that its files have now, or why there is none."""
        try:
            text = (self.path / "task.yaml").read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            return f"# {self.path / 'task.yaml'} cannot be read: {error.strerror}\n"
        head, _, rest = text.partition("\n")
        was, text = (head[len(_OF) :], rest) if head.startswith(_OF) else (self._was(), text)
        return str(with_place(text, self.project, was=was))

    @property
    def is_deleted(self) -> bool:
        """Whether the run was deleted; its folder is there until it is cleaned up."""
        return (self.path / "deleted").exists()

    def set_deleted(self, deleted: bool) -> None:
        """Hide the run from lists, or have it there again."""
        if deleted:
            (self.path / "deleted").touch(mode=0o600)
        else:
            remove(self.path / "deleted")

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
            write_atomically(self.path / "stop", reason)

    def stop_reason(self) -> str:
        """Return why the run was asked to stop; empty when a person did, or nobody."""
        try:
            return (self.path / "stop").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def forget_ending(self) -> None:
        """Take back the request to stop and the outcome, before the run goes on."""
        for name in ("stop", "result.json"):
            remove(self.path / name)

    def write_recorder(self, recorder_id: str, experiment: str) -> None:
        """Note where the run is recorded."""
        write_atomically(self.path / "recorder.json", json.dumps({"id": recorder_id, "experiment": experiment}))

    def recorder(self) -> tuple[str, str] | None:
        """Return id and experiment of the recorder, or None while there is none."""
        path, remedy = self.path / "recorder.json", "what the run left in the recorder is found by `qnb runs`"
        found = fit(_Recorder, read_json(path, remedy=remedy) or {}, lambda what: tell(path, what, remedy))
        return (found["id"], found["experiment"]) if len(found) == 2 else None

    def stop_asked(self) -> bool:
        """Return whether somebody asked the run to stop."""
        return (self.path / "stop").exists()

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write the outcome, all at once."""
        kept = without_place(dict(result), self.project)
        write_atomically(self.path / "result.json", json.dumps(kept, indent=1, default=str))

    def result(self) -> dict[str, Any] | None:
        """Return the outcome, or None while there is none: what of `RunResult` is there and can be read."""
        path, remedy = self.path / "result.json", "the run is shown as its journal tells it"
        raw = read_json(path, remedy=remedy, damaged={})
        if raw is None:
            return None
        return fit(RunResult, with_place(raw, self.project, was=self._was()), lambda what: tell(path, what, remedy))

    def _was(self) -> object:
        """Return where the project lay when an older version wrote the request; '.' where a newer one did."""
        with contextlib.suppress(PoolError, KeyError, TypeError, AttributeError):
            return self._raw_request()["settings"].get("work_dir")
        return None


class RunResult(TypedDict, total=False):
    """What ``result.json`` may hold, see `qnb.execution.worker.execute_run`."""

    run_id: str
    name: str
    status: str
    metrics: Mapping[str, AnyFloat]
    report: str | None
    recorder_id: str
    seconds: float
    error: str
    message: str
    traceback: str


class _Recorder(TypedDict, total=False):
    id: str
    experiment: str


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
    run_id = new_run_id()
    name = name or task.name or "run"
    directory = RunDir(settings.runs_dir / run_id)
    require_encodable(settings.runs_dir)
    try:
        private_folder(directory.path)
        used(directory.project)
        _write_new(directory, task, settings, name=name, seed=seed, retry_of=retry_of, objects=objects)
    except OSError:  # half a run is none
        shutil.rmtree(directory.path, ignore_errors=True)
        raise
    return directory


def _write_new(
    directory: RunDir, task: Task, settings: Settings, *, name: str, seed: int | None, retry_of: str,
    objects: bytes | None,
) -> None:  # fmt: skip
    vault = Vault.beside(directory.path)
    task = without_secrets(task, vault)
    request = {
        "run_id": directory.run_id, "name": name, "task": task.to_json(),
        "settings": vault.hide(settings.to_json()),
        "threads": settings.threads, "seed": seed, "submitter": [*_identity()], "boot": boot_id(),
        "retry_of": retry_of,
    }  # fmt: skip
    request = without_place(request, directory.project)
    request["settings"]["work_dir"] = "."
    (directory.path / ".lock").touch(mode=0o600)  # it is there when no file can be made any more to end the run
    if objects is not None:
        directory.objects_path.touch(mode=0o600)
        directory.objects_path.write_bytes(objects)
    write_atomically(directory.path / "task.yaml", f"{_OF}{directory.project}\n{task.to_yaml()}")
    stages = stages_of(task)
    with JournalWriter(directory.path, sync=False) as journal:
        journal.append(
            RunQueued(
                run_id=directory.run_id, name=name, experiment=task.experiment or settings.experiment,
                stages=tuple(stages), titles=stages, task_hash=task.hash, retry_of=retry_of,
            )
        )  # fmt: skip
    write_atomically(directory.path / "request.json", json.dumps(request, default=str))  # last: now it is a run


def without_secrets(task: Task, vault: Vault) -> Task:
    """Return a task as it may be written and shown; what is secret in it is kept in `vault`."""
    return replace(task, document=vault.hide(task.document), text=vault.hide_text(task.text))


def _identity() -> tuple[int, float]:
    own = process_id()
    return own.pid, own.began


def list_run_dirs(runs_dir: Path, *, deleted: bool = False) -> list[RunDir]:
    """Return the runs below `runs_dir`, newest first; deleted ones only if asked for.

    One that has lost its request is among them, once it is clear that it is not just being made.
    """
    found = []
    with contextlib.suppress(OSError), os.scandir(runs_dir) as entries:
        for entry in entries:
            with contextlib.suppress(OSError, ValueError):  # no run, or one that is being deleted
                if entry.name[0] == ".":
                    continue
                queued = _submitted(entry.path)
                if deleted or not os.path.exists(f"{entry.path}/deleted"):
                    found.append((queued, entry.path))
    return [RunDir(Path(path)) for _, path in sorted(found, reverse=True)]


def _submitted(path: str) -> int:
    """Return when a run was submitted, in nanoseconds; raises OSError or ValueError for what is no run."""
    try:
        return os.stat(f"{path}/request.json").st_mtime_ns
    except FileNotFoundError:
        oldest = min(os.stat(f"{path}/{name}").st_mtime_ns for name in _LEFT if os.path.exists(f"{path}/{name}"))
        if time.time_ns() - oldest > MAKING * 1e9:
            return oldest
        raise


def find_run_dir(runs_dir: Path, ref: str) -> RunDir:
    """Return the run that `ref` names: an id, the start of one (four characters or more), or a name (its newest run).

    The id may be that of the recorder, where it is another.

    Raises
    ------
    UnknownNameError
        With the nearest names; also for a start that is too short, or that several ids share.
    """
    directories = list_run_dirs(runs_dir)
    for directory in directories:
        if directory.run_id == ref:
            return directory
    names: dict[str, None] = {}
    for directory in directories:
        try:
            name = directory.name()
        except PoolError:
            continue
        if name == ref:
            return directory
        names[name] = None
    ids = [(d, (d.run_id, *(d.recorder() or ("",))[:1])) for d in directories]
    return only_with_id(ref, ids, names=[*names, *(d.run_id for d in directories)])
