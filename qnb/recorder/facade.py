"""`R`: the facade over experiments and runs that notebooks, scripts and models use.

It sits at the edge: the store comes from the settings of `qnb.init`, or from `set_uri`, `uri_context` or ``uri=``;
everything else is `Experiment` and `Recorder`. `set_uri` is for the whole process as `qnb.init` is; `uri_context` and
the active run are of the context they are opened in, so threads do not see each other's.

A run that is started inside another one of the same context is nested in it (see `qnb.recorder.active`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Settings, current_settings, within_run
from ..errors import RecorderError
from ..secrets import masked
from .active import ActiveRun, ActiveRuns
from .base import Store
from .experiment import Experiment, run_of, runs_frame, view_of
from .recorder import Recorder
from .stores import open_store

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["R", "RecorderFacade"]


class RecorderFacade:
    """Experiments and runs by short names.

    Examples
    --------
    >>> with R.start(experiment_name="demo"):                # doctest: +SKIP
    ...     R.log_params(learning_rate=0.1)
    ...     R.log_metrics(loss=0.5, step=1)
    ...     R.save_objects(**{"pred.pkl": frame})
    """

    def __init__(self) -> None:
        self._set: str | None = None
        self._within: ContextVar[str | None] = ContextVar("qnb_uri", default=None)
        self._runs = ActiveRuns()

    @contextmanager
    def start(
        self,
        *,
        experiment_id: str | None = None,
        experiment_name: str | None = None,
        recorder_id: str | None = None,
        recorder_name: str | None = None,
        uri: str | None = None,
        resume: bool = False,
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[Experiment]:
        """Start a run; it ends FINISHED with the block, FAILED when an exception (Ctrl-C, too) leaves the block.

        Parameters
        ----------
        experiment_id, experiment_name : str, optional
            The experiment; made when there is none of that name. Default: within a run that run's, else the settings'.
        recorder_id, recorder_name : str, optional
            Name of the new run (default ``mlflow_recorder``); with `resume` the run to go on with.
        uri : str, optional
            Store to use within the block.
        resume : bool
            Go on with an existing run.
        tags : mapping of str to str, optional
            Tags that a new run has from its start.

        Yields
        ------
        Experiment
            Its ``active_recorder`` is the run.

        Raises
        ------
        RecorderError
            When the store cannot be reached, the run to resume is not there, or, at the end, something could not be
            written.
        """
        experiment = self.start_exp(
            experiment_id=experiment_id, experiment_name=experiment_name, recorder_id=recorder_id,
            recorder_name=recorder_name, uri=uri, resume=resume, tags=tags,
        )  # fmt: skip
        active = self._runs.mine()
        try:
            yield experiment
        except BaseException as error:  # Ctrl-C, too, ends the run
            self._runs.fail(active, error)
            raise
        else:
            self._runs.end(active, Recorder.STATUS_FI)

    def start_exp(
        self,
        *,
        experiment_id: str | None = None,
        experiment_name: str | None = None,
        recorder_id: str | None = None,
        recorder_name: str | None = None,
        uri: str | None = None,
        resume: bool = False,
        tags: Mapping[str, str] | None = None,
    ) -> Experiment:
        """Start a run without a block; `end_exp`, or the end of the process, ends it. See `start`."""
        parent = self._runs.mine()
        place = uri or (parent.uri if parent is not None else None)
        with self.uri_context(place) if place is not None else _nothing():
            store_uri = self.get_uri()
            if experiment_id is None and experiment_name is None and parent is not None and parent.uri == store_uri:
                experiment = Experiment(self._store, parent.experiment._info, self.settings)
            else:
                experiment = self._experiment(
                    experiment_id,
                    experiment_name or (None if experiment_id else self.settings.experiment),
                    create=True,
                )
        within = parent.recorder if parent is not None and parent.uri == store_uri else None
        recorder = experiment.start(
            recorder_id=recorder_id, recorder_name=recorder_name, resume=resume, parent=within, tags=tags
        )
        self._runs.push(experiment, recorder, store_uri, shared=not within_run())
        return experiment

    def end_exp(self, recorder_status: str = Recorder.STATUS_FI) -> None:
        """End the run that was started last; without one nothing happens.

        Raises
        ------
        RecorderError
            When something of it could not be written.
        """
        active = self._runs.current()
        if active is not None:
            self._runs.end(active, recorder_status)

    def get_exp(
        self,
        *,
        experiment_id: str | None = None,
        experiment_name: str | None = None,
        create: bool = True,
        start: bool = False,
    ) -> Experiment:
        """Return an experiment by id or name; without either the active one, else the settings' experiment.

        Parameters
        ----------
        create : bool
            Make it when there is none of that name.
        start : bool
            Start a run in it when none is active.

        Raises
        ------
        RecorderError
            When there is none and `create` is False; always for an unknown id.
        """
        active = self._runs.current()
        if experiment_id is None and experiment_name is None:
            if active is not None:
                return active.experiment
            experiment_name = self.settings.experiment
        if start and active is None:
            return self.start_exp(experiment_id=experiment_id, experiment_name=experiment_name)
        return self._experiment(experiment_id, experiment_name, create=create)

    def list_experiments(self) -> dict[str, Experiment]:
        """Return all experiments by name."""
        store = self._store
        return {e.name: self._adopt(Experiment(store, e, self.settings)) for e in store.experiments()}

    def delete_exp(self, experiment_id: str | None = None, experiment_name: str | None = None) -> None:
        """Delete an experiment with its runs; artifacts stay until ``mlflow gc``, the name is free at once.

        Raises
        ------
        RecorderError
            Without id and name, for an unknown one, and while a run of it is active.
        """
        if experiment_id is None and experiment_name is None:
            raise RecorderError("which experiment? give experiment_id or experiment_name")
        experiment = self._experiment(experiment_id, experiment_name, create=False)
        if experiment.active_recorder is not None:
            name = experiment.active_recorder.name
            raise RecorderError(
                f"run {name!r} of experiment {experiment.name!r} is active; end it before you delete it"
            )
        self._store.delete_experiment(experiment.id)

    def search_records(
        self,
        experiment_ids: Sequence[str] | str,
        filter_string: str = "",
        run_view_type: int | str = 1,
        max_results: int = 100_000,
        order_by: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return runs as a frame: run_id, status, times (UTC), metrics.*, params.*, tags.* and what else MLflow has.

        Parameters
        ----------
        experiment_ids : sequence of str
            Where to look.
        filter_string : str
            MLflow's grammar: ``"metrics.IC > 0.03 and params.model = 'lightgbm'"``.
        run_view_type : int
            1 active runs, 2 deleted, 3 all.
        max_results : int
            At most that many.
        order_by : sequence of str, optional
            ``["metrics.IC DESC"]``; default newest first.
        """
        self._flush()
        ids = [experiment_ids] if isinstance(experiment_ids, str) else [str(i) for i in experiment_ids]
        found = self._store.search(
            ids, filter_string=filter_string, deleted=view_of(run_view_type), max_results=max_results,
            order_by=order_by or (),
        )  # fmt: skip
        return runs_frame(found)

    def list_recorders(
        self, experiment_id: str | None = None, experiment_name: str | None = None
    ) -> dict[str, Recorder]:
        """Return the runs of an experiment by id, newest first; without a name of the current one."""
        unnamed = experiment_id is None and experiment_name is None
        experiment = self.get_exp(experiment_id=experiment_id, experiment_name=experiment_name, create=unnamed)
        return experiment.list_recorders()

    def get_recorder(
        self,
        *,
        recorder_id: str | None = None,
        recorder_name: str | None = None,
        experiment_id: str | None = None,
        experiment_name: str | None = None,
    ) -> Recorder:
        """Return the active run; or one by id; or the latest by name, of an experiment or else the current one.

        Raises
        ------
        RecorderError
            When there is none.
        """
        if recorder_id is None and recorder_name is None and experiment_id is None and experiment_name is None:
            return self._current.recorder
        if recorder_id is not None:
            for active in self._runs.all():
                if active.recorder.id == recorder_id:
                    return active.recorder
            if experiment_id is None and experiment_name is None:
                store = self._store
                return Recorder(store, run_of(store, recorder_id), self.settings)
        experiment = self.get_exp(experiment_id=experiment_id, experiment_name=experiment_name, create=False)
        return experiment.get_recorder(recorder_id, recorder_name, create=False)

    def delete_recorder(self, recorder_id: str | None = None, recorder_name: str | None = None) -> None:
        """Delete a run: by id wherever it is, or the latest of that name in the current experiment."""
        if recorder_id is None:
            self.get_exp(create=False).delete_recorder(None, recorder_name)
            return
        recorder = self.get_recorder(recorder_id=recorder_id)
        self._experiment(recorder.experiment_id, None, create=False).delete_recorder(recorder_id)

    def get_uri(self) -> str:
        """Return the tracking URI in use: of `uri_context`, of the active run, of `set_uri`, of the settings."""
        within, active = self._within.get(), self._runs.current()
        if within is not None:
            return within
        if active is not None:
            return active.uri
        return self.settings.tracking_uri if self._set is None or within_run() else self._set

    def set_uri(self, uri: str | None) -> None:
        """Use another store from now on; None goes back to the settings'."""
        self.refuse_while_active()
        self._set = uri

    @contextmanager
    def uri_context(self, uri: str) -> Iterator[RecorderFacade]:
        """Use another store within a block; other threads go on with theirs."""
        old = self._within.get()
        self._within.set(uri)
        try:
            yield self
        finally:
            self._within.set(old)

    def save_objects(
        self, local_path: str | Path | None = None, artifact_path: str | None = None, **objects: Any
    ) -> list[str]:
        """Save objects as artifacts of the active run; see `Recorder.save_objects`."""
        if local_path is not None and objects:
            raise RecorderError("give either local_path or objects by name, not both")
        return self._started().save_objects(local_path, artifact_path, **objects)

    def load_object(self, name: str, *, trust: bool | None = None) -> Any:
        """Load an artifact of the active run; see `Recorder.load_object`."""
        return self._current.recorder.load_object(name, trust=trust)

    def log_params(self, **params: Any) -> None:
        """Log parameters of the active run, or of one in the settings' experiment that is started now."""
        self._started().log_params(**params)

    def log_metrics(self, step: int | None = None, **metrics: float) -> None:
        """Log metrics of the active run, or of one in the settings' experiment that is started now."""
        self._started().log_metrics(step, **metrics)

    def log_artifact(self, local_path: str | Path, artifact_path: str | None = None) -> None:
        """Save a file or folder as an artifact of the active run."""
        self._started().log_artifact(local_path, artifact_path)

    def download_artifact(self, path: str, dst_path: str | Path | None = None) -> str:
        """Return a local path of an artifact of the active run."""
        return self._current.recorder.download_artifact(path, dst_path)

    def set_tags(self, **tags: Any) -> None:
        """Set tags of the active run, or of one in the settings' experiment that is started now."""
        self._started().set_tags(**tags)

    def refuse_while_active(self) -> None:
        """Raise `RecorderError` while a run is active that a call from here may go to, naming it."""
        active = self._runs.mine() or next(reversed(self._runs.shared()), None)
        if active is not None:
            raise RecorderError(
                f"run {active.recorder.name!r} of experiment {active.experiment.name!r} is active; end it first (leave "
                "its `with R.start` block, or call R.end_exp()), else its records would be torn between two stores"
            )

    @property
    def settings(self) -> Settings:
        """The settings in force: of the run in whose context this is asked, else of `qnb.init`."""
        return current_settings()

    @property
    def _store(self) -> Store:
        settings = self.settings
        uri = settings.with_(recorder_uri=self.get_uri()).tracking_uri
        return open_store(uri, cache_dir=settings.cache_dir, work_dir=settings.work_dir)

    @property
    def _current(self) -> ActiveRun:
        active = self._runs.current()
        if active is None:
            raise RecorderError(
                "no run is active; use `with R.start(experiment_name=...):`, or R.get_recorder(recorder_id=...)"
            )
        return active

    def _started(self) -> Recorder:
        if self._runs.current() is None:
            if self._runs.shared():
                raise RecorderError(
                    "several runs are active and this thread belongs to none of them; log with the run's own recorder "
                    "(R.get_recorder() where it was started), or start the thread in a copy of its context"
                )
            self.start_exp()
        return self._current.recorder

    def _experiment(self, id: str | None, name: str | None, *, create: bool) -> Experiment:
        store = self._store
        found = store.experiment(id=id, name=name)
        if found is None:
            if id is not None or not create:
                from ..errors import nearest

                names = [e.name for e in store.experiments()]
                near = nearest(str(name), names) if name is not None else ()
                tail = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names[:20]) or 'none'}"
                raise RecorderError(f"no experiment {name if id is None else id!r} in {masked(store.uri)}; {tail}")
            found = store.create_experiment(str(name))
        return self._adopt(Experiment(store, found, self.settings))

    def _adopt(self, experiment: Experiment) -> Experiment:
        """Tell the experiment of its active run."""
        for active in self._runs.all():
            if active.experiment == experiment:
                experiment.active_recorder = active.recorder
        return experiment

    def _flush(self) -> None:
        for active in self._runs.all():
            active.recorder.flush()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


R = RecorderFacade()
