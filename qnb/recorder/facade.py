"""`R`: the facade over experiments and recorders that notebooks and models use.

It sits at the edge: the store comes from the settings of `qnb.init` (or from `set_uri`), everything else is
`Experiment` and `Recorder`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import current_settings
from ..errors import RecorderError
from .base import Store
from .recorder import Experiment, Recorder, _view, runs_frame
from .stores import open_store

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["R", "RecorderFacade"]


@dataclass(slots=True)
class _Active:
    experiment: Experiment
    recorder: Recorder


class RecorderFacade:
    """Experiments and recorders by short names.

    Examples
    --------
    >>> with R.start(experiment_name="demo"):                # doctest: +SKIP
    ...     R.log_params(learning_rate=0.1)
    ...     R.log_metrics(loss=0.5, step=1)
    ...     R.save_objects(**{"pred.pkl": frame})
    """

    def __init__(self) -> None:
        self._uri: str | None = None
        self._stack: list[_Active] = []
        self._lock = threading.RLock()

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
    ) -> Iterator[RecorderFacade]:
        """Start a run, end it FINISHED when the block ends and FAILED when an exception leaves it.

        Parameters
        ----------
        experiment_id, experiment_name : str, optional
            The experiment; made when there is none of that name. Default: the settings' experiment.
        recorder_id, recorder_name : str, optional
            With `resume`, the run to go on with; else the name of the new one.
        uri : str, optional
            Store to use within the block.
        resume : bool
            Go on with an existing run.
        """
        context = self.uri_context(uri) if uri is not None else _nothing()
        with context:
            self.start_exp(
                experiment_id=experiment_id, experiment_name=experiment_name, recorder_id=recorder_id,
                recorder_name=recorder_name, resume=resume,
            )  # fmt: skip
            try:
                yield self
            except BaseException:  # KeyboardInterrupt, too, ends the run
                self._end_failed()
                raise
            else:
                self.end_exp("FINISHED")

    def start_exp(
        self,
        *,
        experiment_id: str | None = None,
        experiment_name: str | None = None,
        recorder_id: str | None = None,
        recorder_name: str | None = None,
        uri: str | None = None,
        resume: bool = False,
    ) -> Experiment:
        """Start a run without a block; `end_exp` ends it. A run within a run is recorded as nested."""
        if uri is not None:
            self.set_uri(uri)
        with self._lock:
            experiment = self.get_exp(experiment_id=experiment_id, experiment_name=experiment_name)
            recorder = experiment.start(recorder_id=recorder_id, recorder_name=recorder_name, resume=resume)
            if self._stack:
                recorder.set_tags(**{"mlflow.parentRunId": self._stack[-1].recorder.id})
            self._stack.append(_Active(experiment, recorder))
            return experiment

    def end_exp(self, recorder_status: str = "FINISHED") -> None:
        """End the run that was started last."""
        with self._lock:
            if not self._stack:
                return
            active = self._stack.pop()
        active.experiment.active_recorder = None
        active.recorder.end_run(recorder_status)

    def get_exp(
        self,
        *,
        experiment_id: str | None = None,
        experiment_name: str | None = None,
        create: bool = True,
        start: bool = False,
    ) -> Experiment:
        """Return an experiment by id or name; without either the active one, else the settings' experiment.

        Raises
        ------
        RecorderError
            When there is none and `create` is False.
        """
        if experiment_id is None and experiment_name is None:
            if self._stack:
                return self._stack[-1].experiment
            experiment_name = current_settings().experiment
        store = self._store
        found = store.experiment(id=experiment_id, name=experiment_name)
        if found is None:
            if experiment_id is not None or not create:
                names = [e.name for e in store.experiments()]
                what = experiment_id or experiment_name
                raise RecorderError(f"no experiment {what!r}; there are: {', '.join(names) or 'none'}")
            found = store.create_experiment(str(experiment_name))
        experiment = Experiment(store, found)
        for active in self._stack:
            if active.experiment.id == found.id:
                experiment.active_recorder = active.recorder
        if start:
            self._stack.append(_Active(experiment, experiment.start()))
        return experiment

    def list_experiments(self) -> dict[str, Experiment]:
        """Return all experiments by name."""
        store = self._store
        return {e.name: Experiment(store, e) for e in store.experiments()}

    def delete_exp(self, experiment_id: str | None = None, experiment_name: str | None = None) -> None:
        """Delete an experiment with its runs."""
        if experiment_id is None and experiment_name is None:
            raise RecorderError("which experiment? give experiment_id or experiment_name")
        experiment = self.get_exp(experiment_id=experiment_id, experiment_name=experiment_name, create=False)
        self._store.delete_experiment(experiment.id)

    def search_records(
        self,
        experiment_ids: Sequence[str],
        filter_string: str = "",
        run_view_type: int | None = None,
        max_results: int = 100000,
        order_by: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return runs of several experiments as a frame; `filter_string` is MLflow's grammar."""
        found = self._store.search(
            list(experiment_ids), filter_string=filter_string, deleted=_view(run_view_type), max_results=max_results,
            order_by=order_by or (),
        )  # fmt: skip
        return runs_frame(found)

    def list_recorders(
        self, experiment_id: str | None = None, experiment_name: str | None = None
    ) -> dict[str, Recorder]:
        """Return the runs of an experiment by id, newest first."""
        found = self.get_exp(
            experiment_id=experiment_id, experiment_name=experiment_name, create=False
        ).list_recorders()
        return found if isinstance(found, dict) else {r.id: r for r in found}

    def get_recorder(
        self,
        *,
        recorder_id: str | None = None,
        recorder_name: str | None = None,
        experiment_id: str | None = None,
        experiment_name: str | None = None,
    ) -> Recorder:
        """Return the active run, or one by id, or the latest by name."""
        if recorder_id is None and recorder_name is None and experiment_id is None and experiment_name is None:
            return self._active
        for active in self._stack:
            if active.recorder.id == recorder_id:
                return active.recorder
        if recorder_id is not None and experiment_id is None and experiment_name is None:
            store = self._store
            return Recorder(store, store.run(recorder_id))
        experiment = self.get_exp(experiment_id=experiment_id, experiment_name=experiment_name, create=False)
        return experiment.get_recorder(recorder_id=recorder_id, recorder_name=recorder_name)

    def delete_recorder(self, recorder_id: str | None = None, recorder_name: str | None = None) -> None:
        """Delete a run of the current experiment by id or, the latest, by name."""
        self.get_exp(create=False).delete_recorder(recorder_id, recorder_name)

    def get_uri(self) -> str:
        """Return the tracking URI in use."""
        return self._uri or current_settings().tracking_uri

    def set_uri(self, uri: str | None) -> None:
        """Use another store from now on; None goes back to the settings'."""
        self.refuse_while_active()
        self._uri = uri

    @contextmanager
    def uri_context(self, uri: str) -> Iterator[RecorderFacade]:
        """Use another store within a block."""
        old, self._uri = self._uri, uri
        try:
            yield self
        finally:
            self._uri = old

    def save_objects(
        self, local_path: str | Path | None = None, artifact_path: str | None = None, **objects: Any
    ) -> None:
        """Save objects as artifacts of the active run; see `Recorder.save_objects`."""
        self._active.save_objects(local_path, artifact_path, **objects)

    def load_object(self, name: str) -> Any:
        """Load an artifact of the active run; see `Recorder.load_object`."""
        return self._active.load_object(name)

    def log_params(self, **params: Any) -> None:
        """Log parameters of the active run."""
        self._active.log_params(**params)

    def log_metrics(self, step: int | None = None, **metrics: float) -> None:
        """Log metrics of the active run."""
        self._active.log_metrics(step, **metrics)

    def log_artifact(self, local_path: str | Path, artifact_path: str | None = None) -> None:
        """Save a file or folder as an artifact of the active run."""
        self._active.log_artifact(local_path, artifact_path)

    def download_artifact(self, path: str, dst_path: str | Path | None = None) -> str:
        """Return a local path of an artifact of the active run."""
        return self._active.download_artifact(path, dst_path)

    def set_tags(self, **tags: Any) -> None:
        """Set tags of the active run."""
        self._active.set_tags(**tags)

    def refuse_while_active(self) -> None:
        """Raise `RecorderError` while a run is active, naming it."""
        if self._stack:
            name = self._stack[-1].recorder.name
            raise RecorderError(
                f"run {name!r} is active; end it (leave its `with R.start` block) before you change this"
            )

    @property
    def _active(self) -> Recorder:
        if not self._stack:
            raise RecorderError(
                "no run is active; use `with R.start(experiment_name=...):`, or get_recorder(recorder_id=...)"
            )
        return self._stack[-1].recorder

    @property
    def _store(self) -> Store:
        return open_store(self.get_uri())

    def _end_failed(self) -> None:
        try:
            self.end_exp("FAILED")
        except RecorderError as error:
            import logging

            logging.getLogger("qnb.recorder").error("%s", error)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


R = RecorderFacade()
