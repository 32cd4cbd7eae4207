"""The directory of a study: what is kept there, by whom, and how a study is stopped, paused and gone on with.

``request.json``   plan and settings (by whoever starts the study), without secrets
``study.yaml``     the text as the user wrote it, without secrets
``main.pkl``       classes of the notebook's cells that the workflow needs, by value; only for the user's own workers
``optuna.journal`` Optuna's storage, unless another was named
``events.ndjson``  every event of the study (see `qnb.tuning.events`): what views are folded from
``series/``        daily series of the trials
``logs/``          a log for each trial and worker
``work/``          bins and scores that trials share; removed when the study is finished
``stop``, ``pause`` requests of a user; ``lock`` is held by the one process that manages the study
``manager.json``   the process that is to manage it; ``.lock`` is held for a moment by whoever has the study go on
``verdict.json``   the outcome
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import Settings
from ..errors import QnbError, StudyError, UnknownNameError
from ..files import changing, is_locked, load_json, make, read_json, remove, write_atomically
from ..machine import ProcessId, process_id
from ..private import private_folder
from ..project import project_of, used, with_place, without_place
from ..secrets import Vault
from .events import EventLog, EventReader, StudyWentOn
from .plan import StudyPlan, plan_from_json, plan_to_json, without_secrets
from .spec import StudySpec
from .state import StudyState

__all__ = ["GoingOnError", "StudyDir", "StudyRequest", "create_study", "find_study", "list_studies"]


@dataclass(frozen=True, slots=True)
class StudyRequest:
    """What a study was started with, without reading the workflow."""

    study_id: str
    name: str
    spec: StudySpec
    settings: Settings
    raw: Mapping[str, Any]

    def plan(self) -> StudyPlan:
        """Return the plan; reads and validates the workflow.

        Raises
        ------
        StudyError
            There is none that can be read.
        ConfigError
            The workflow is no task any more, as when one of its files is gone.
        """
        try:
            return plan_from_json(self.raw)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StudyError(
                f"the plan of study {self.name} / {self.study_id} cannot be read ({error}); start it again"
            ) from error


@dataclass(frozen=True, slots=True)
class StudyDir:
    """Paths of one study and the few things done to them."""

    path: Path

    @property
    def study_id(self) -> str:
        """The study's id, which is the directory's name."""
        return self.path.name

    @property
    def project(self) -> Path:
        """The folder that holds ``.qnb``, wherever it lies now."""
        return project_of(self.path)

    @property
    def journal(self) -> Path:
        """Optuna's journal file."""
        return self.path / "optuna.journal"

    @property
    def storage_url(self) -> str:
        """What ``optuna-dashboard`` opens: the journal file's path, or the URL of the storage."""
        return self.request().spec.storage or str(self.journal)

    def trial_log(self, trial: int) -> Path:
        """Log of a trial."""
        return self.path / "logs" / f"trial-{trial:05d}.txt"

    def request(self) -> StudyRequest:
        """Return what the study was started with.

        Raises
        ------
        StudyError
            When the directory holds no readable request.
        """
        try:
            raw = load_json(self.path / "request.json")
            raw = with_place(raw, self.project, was=dict(raw["settings"]).get("work_dir"))
            raw["settings"] = {**raw["settings"], "work_dir": str(self.project)}
            spec = StudySpec.from_json(raw["plan"]["spec"])
            settings = Settings.from_json(Vault.beside(self.path).reveal(raw["settings"]))
        except (OSError, ValueError, KeyError, TypeError, QnbError) as error:
            raise self._damaged(error) from error
        return StudyRequest(self.study_id, spec.name, spec, settings, raw["plan"])

    def _damaged(self, error: Exception) -> StudyError:
        reason = getattr(error, "strerror", None) or str(error) + " is missing" * isinstance(error, KeyError)
        return StudyError(f"{self.path / 'request.json'} cannot be read ({reason}); start the study again")

    @property
    def objects_path(self) -> Path:
        """File with the classes of the notebook that the workflow needs."""
        return self.path / "main.pkl"

    def write_request(self, plan: StudyPlan, settings: Settings, objects: bytes | None = None) -> None:
        """Write or replace the request, and what `qnb.check.by_value` gave if it is given."""
        if objects is not None:
            self.objects_path.touch(mode=0o600)
            self.objects_path.write_bytes(objects)
        vault = Vault.beside(self.path)
        plan = without_secrets(plan, vault)
        raw = {"plan": plan_to_json(plan), "settings": vault.hide(settings.to_json())}
        raw = without_place(raw, self.project)
        raw["settings"]["work_dir"] = "."
        write_atomically(self.path / "study.yaml", plan.text)
        write_atomically(self.path / "request.json", json.dumps(raw, default=str))  # last: with it there is a study

    def ask(self, what: str) -> None:
        """Leave a request: ``stop`` or ``pause``."""
        (self.path / what).touch(mode=0o600)

    def withdraw(self, what: str) -> None:
        """Take a request back."""
        remove(self.path / what)

    def asked(self, what: str) -> bool:
        """Return whether a request stands."""
        return (self.path / what).exists()

    def changing(self) -> AbstractContextManager[None]:
        """Keep others meanwhile from having the study go on.

        Raises
        ------
        StudyError
            The folder is gone, cannot be written, or another process does not let go of the lock.
        """
        return changing(self.path, f"study {self.study_id}", StudyError)

    def go_on(self) -> None:
        """Take requests back and note that a new manager is on its way; called with the lock of `changing` held."""
        self.claim(process_id())
        self.withdraw("pause")
        self.withdraw("stop")
        log = EventLog(self.path)
        log(StudyWentOn(anew=True))
        log.close()

    def claim(self, process: ProcessId | None) -> None:
        """Note which process is to manage the study; None when it does no more."""
        path = self.path / "manager.json"
        if process is None:
            remove(path)
        else:
            write_atomically(path, json.dumps({"pid": process.pid, "began": process.began}))

    def claimed(self) -> ProcessId | None:
        """Return the process that is to manage the study, None where none is noted."""
        raw = read_json(self.path / "manager.json", remedy="it is written anew when the study goes on") or {}
        with suppress(ValueError):
            return make(ProcessId, raw)
        return None

    def is_managed(self) -> bool:
        """Return whether a process manages the study now."""
        return is_locked(self.path / "lock")

    def is_taken(self) -> bool:
        """Return whether a process manages the study now, or another one than this is about to."""
        state, process = StudyState(), self.claimed()
        for event in EventReader(self.path).read_new():
            state.apply(event)
        beginning = state.status == "waiting" and process not in (None, process_id())
        # Asked last: who manages it holds the lock before it says so in an event.
        return (beginning and process is not None and process.alive) or self.is_managed()


class GoingOnError(StudyError):
    """The study is managed by another process, or is about to be: here it can be watched."""


def studies_dir(settings: Settings) -> Path:
    """Return the folder of all studies."""
    return settings.work_dir / ".qnb" / "studies"


def create_study(plan: StudyPlan, settings: Settings, objects: bytes | None = None) -> StudyDir:
    """Make the directory of a new study."""
    stamp = time.strftime("%m%d%H%M%S")
    directory = StudyDir(studies_dir(settings) / f"{stamp}{secrets.token_hex(3)}")
    private_folder(directory.path)
    used(directory.project)
    directory.claim(process_id())
    directory.write_request(plan, settings, objects)
    return directory


def list_studies(settings: Settings) -> list[StudyDir]:
    """Return all studies, newest first."""
    folder = studies_dir(settings)
    if not folder.is_dir():
        return []
    found = []
    for path in folder.iterdir():
        with suppress(OSError):  # it is being made, or removed
            if (path / "request.json").exists():
                found.append((os.stat(path / "study.yaml").st_ctime, path.name, path))
    return [StudyDir(path) for _, _, path in sorted(found, reverse=True)]


def find_study(settings: Settings, ref: str, *, hint: str = "leave --resume out to start it") -> StudyDir:
    """Return the newest study of that name, or the one with that id; `hint` says what to do where there is none.

    Raises
    ------
    UnknownNameError
        With the nearest names.
    """
    names: dict[str, None] = {}
    directories = list_studies(settings)
    for directory in directories:
        if directory.study_id == ref:
            return directory
    for directory in directories:
        try:
            name = directory.request().name
        except StudyError:
            continue
        if name == ref:
            return directory
        names[name] = None
    raise UnknownNameError("study", ref, names, hint=hint)
