"""An experiment: a named collection of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..config import Settings
from ..errors import RecorderError, nearest
from ..run_ids import is_run_id
from .base import RUN_ID, STATUSES, ExperimentInfo, RefusedError, RunInfo, Store
from .recorder import Recorder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEFAULT_RECORDER", "Experiment", "run_of", "runs_frame", "view_of"]

DEFAULT_RECORDER = "mlflow_recorder"
MOST = 50_000
PARENT = "mlflow.parentRunId"
_VIEWS: Mapping[Any, bool | None] = {
    1: False,
    2: True,
    3: None,
    "active_only": False,
    "deleted_only": True,
    "all": None,
}


class Experiment:
    """A named collection of runs. Made by `R`, not by hand.

    Attributes
    ----------
    id, name : str
        Who it is.
    active_recorder : Recorder or None
        The run that was started last and has not ended.
    """

    RT_D, RT_L = "dict", "list"

    def __init__(self, store: Store, info: ExperimentInfo, settings: Settings) -> None:
        self._store = store
        self._info = info
        self._settings = settings
        self.id = info.id
        self.name = info.name
        self.active_recorder: Recorder | None = None

    @property
    def info(self) -> dict[str, Any]:
        """Id, name, the active run's id and the ids of all runs, newest first."""
        active = self.active_recorder.id if self.active_recorder is not None else None
        ids = [r.run_id for r in self._search(max_results=MOST)]
        return {"class": "Experiment", "id": self.id, "name": self.name, "active_recorder": active, "recorders": ids}

    def start(
        self,
        *,
        recorder_id: str | None = None,
        recorder_name: str | None = None,
        resume: bool = False,
        parent: Recorder | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Recorder:
        """Start a run and return it.

        Parameters
        ----------
        recorder_id : str, optional
            With `resume`, the run to go on with.
        recorder_name : str, optional
            Name of the new run; with `resume`, the latest run of that name goes on, or a new one starts.
        resume : bool
            Go on with a run that ended.
        parent : Recorder, optional
            The run that this one is a part of.
        tags : mapping of str to str, optional
            Tags that a new run has from its start.

        Raises
        ------
        RecorderError
            When the run to resume is not there.
        """
        if recorder_id is not None and not resume:
            raise RecorderError(
                f"recorder_id {recorder_id!r} names a run that exists; add resume=True to go on with it"
            )
        recorder: Recorder | None = None
        if resume:
            recorder = self._known(recorder_id, recorder_name or DEFAULT_RECORDER)
            if recorder is None and recorder_id is not None:
                raise self._missing(recorder_id)
        if recorder is None:
            within = {PARENT: parent.id} if parent is not None else {}
            recorder = self._create(recorder_name, {**(tags or {}), **within}, "RUNNING")
        self.active_recorder = recorder.start_run(survey=parent is None)
        return recorder

    def end(self, recorder_status: str = Recorder.STATUS_FI) -> None:
        """End the active run, if there is one."""
        recorder, self.active_recorder = self.active_recorder, None
        if recorder is not None:
            recorder.end_run(recorder_status)

    def create_recorder(self, recorder_name: str | None = None) -> Recorder:
        """Create a run that is SCHEDULED until `Recorder.start_run`."""
        return self._create(recorder_name, {}, "SCHEDULED")

    def get_recorder(
        self,
        recorder_id: str | None = None,
        recorder_name: str | None = None,
        create: bool = True,
        start: bool = False,
    ) -> Recorder:
        """Return a run by id or, the latest, by name; without either the active one.

        Parameters
        ----------
        create : bool
            Create a run where there is none of that name.
        start : bool
            Start it if it was created.

        Raises
        ------
        RecorderError
            When there is none and `create` is False; always for an unknown id.
        """
        if recorder_id is None and recorder_name is None and self.active_recorder is not None:
            return self.active_recorder
        recorder = self._known(recorder_id, recorder_name or DEFAULT_RECORDER)
        if recorder is not None:
            return recorder
        if not create or recorder_id is not None:
            raise self._missing(recorder_id or recorder_name)
        recorder = self.create_recorder(recorder_name)
        if start:
            self.active_recorder = recorder.start_run()
        return recorder

    def search_records(
        self,
        filter_string: str = "",
        run_view_type: int | str = 1,
        max_results: int = 100_000,
        order_by: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return runs as a frame; see `R.search_records`."""
        found = self._search(
            filter_string=filter_string,
            deleted=view_of(run_view_type),
            max_results=max_results,
            order_by=order_by or (),
        )
        return runs_frame(found)

    def delete_recorder(self, recorder_id: str | None = None, recorder_name: str | None = None) -> None:
        """Delete a run by id or, the latest, by name; its artifacts stay until ``mlflow gc``.

        Raises
        ------
        RecorderError
            Without id and name, for an unknown one, and for a run that is active.
        """
        if recorder_id is None and recorder_name is None:
            raise RecorderError("which run? give recorder_id or recorder_name")
        recorder = self._known(recorder_id, recorder_name)
        if recorder is None:
            raise self._missing(recorder_id or recorder_name)
        if self.active_recorder is not None and self.active_recorder.id == recorder.id:
            raise RecorderError(f"run {recorder.name!r} is active; end it before you delete it")
        self._store.delete_run(recorder.id)

    def list_recorders(
        self, rtype: str = RT_D, max_results: int = MOST, status: str | None = None, filter_string: str = ""
    ) -> Any:
        """Return runs, newest first.

        Parameters
        ----------
        rtype : {'dict', 'list'}
            A dict by id, or a list.
        max_results : int
            At most that many.
        status : str, optional
            SCHEDULED, RUNNING, FINISHED or FAILED.
        filter_string : str
            MLflow's grammar.
        """
        if rtype not in (self.RT_D, self.RT_L):
            raise RecorderError(f"no list type {rtype!r}; valid: dict, list")
        if status is not None and status not in STATUSES:
            raise RecorderError(f"no status {status!r}; valid: {', '.join(STATUSES)}")
        words = [w for w in (filter_string, f"attributes.status = '{status}'" if status else "") if w]
        found = [
            self._recorder(info) for info in self._search(filter_string=" and ".join(words), max_results=max_results)
        ]
        return found if rtype == self.RT_L else {r.id: r for r in found}

    def _search(self, **options: Any) -> list[RunInfo]:
        return self._store.search([self.id], **options)

    def _create(self, name: str | None, tags: Mapping[str, str], status: str) -> Recorder:
        info = self._store.create_run(self._info, str(name or DEFAULT_RECORDER), tags=tags, status=status)
        return Recorder(self._store, info, self._settings)

    def _known(self, recorder_id: str | None, recorder_name: str | None) -> Recorder | None:
        if recorder_id is not None:
            try:
                info = run_of(self._store, recorder_id)
            except RefusedError:
                return None
            return self._recorder(info) if info.experiment_id == self.id and not info.deleted else None
        name = str(recorder_name)
        quoted = f"attributes.run_name = '{name}'" if "'" not in name else ""
        found = self._search(filter_string=quoted, max_results=MOST if not quoted else 1)
        return next((self._recorder(r) for r in found if r.name == name), None)

    def _recorder(self, info: RunInfo) -> Recorder:
        active = self.active_recorder
        return (
            active if active is not None and active.id == info.run_id else Recorder(self._store, info, self._settings)
        )

    def _missing(self, what: str | None) -> RecorderError:
        runs = self._search(max_results=200)
        near = nearest(str(what), [n for r in runs for n in (r.name, r.run_id)]) if what else ()
        tail = f"did you mean {near[0]!r}?" if near else "list_recorders() shows what it has"
        return RefusedError(f"experiment {self.name!r} has no {f'run {what!r}' if what else 'active run'}; {tail}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Experiment) and other.id == self.id and other._store.uri == self._store.uri

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Experiment {self.name} {self.id}>"


def run_of(store: Store, id: str) -> RunInfo:
    """Return the run of that id, which may be the store's or that of the run's folder.

    Raises
    ------
    RefusedError
        When there is none.
    """
    try:
        return store.run(id)
    except RefusedError:
        if is_run_id(id):
            experiments = [e.id for e in store.experiments()]
            found = store.search(experiments, filter_string=f"tags.`{RUN_ID}` = '{id}'", max_results=1)
            if found:
                return found[0]
        raise


def runs_frame(runs: Sequence[RunInfo]) -> pd.DataFrame:
    """Return runs as a frame with MLflow's columns: run_id, status, times (UTC), metrics.*, params.*, tags.* ."""
    import pandas as pd

    head = ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"]
    columns: dict[str, None] = dict.fromkeys(head)
    for kind in ("metrics", "params", "tags"):
        columns |= dict.fromkeys(sorted({f"{kind}.{k}" for r in runs for k in getattr(r, kind)}))
    rows = [
        {
            "run_id": r.run_id,
            "experiment_id": r.experiment_id,
            "status": r.status,
            "artifact_uri": r.artifact_uri,
            **{f"metrics.{k}": v for k, v in r.metrics.items()},
            **{f"params.{k}": v for k, v in r.params.items()},
            **{f"tags.{k}": v for k, v in r.tags.items()},
        }
        for r in runs
    ]
    frame = pd.DataFrame(rows, columns=list(columns))
    for name, seconds in (("start_time", [r.start for r in runs]), ("end_time", [r.end for r in runs])):
        ms = pd.array([None if s is None else round(s * 1000) for s in seconds], dtype="Int64")
        frame[name] = pd.to_datetime(ms, unit="ms", utc=True)
    return frame


def view_of(run_view_type: int | str | None) -> bool | None:
    """Translate MLflow's ViewType: 1 active, 2 deleted, 3 all."""
    key = run_view_type.lower() if isinstance(run_view_type, str) else run_view_type
    if key is None:
        return False
    if key not in _VIEWS:
        raise RecorderError(f"run_view_type {run_view_type!r} is not known; 1 active, 2 deleted, 3 all")
    return _VIEWS[key]
