"""The handle of a study: what a ``%%qtune`` cell leaves in the notebook, and what `qnb.tuning.study` returns.

Everything is read from the study's directory, so a handle works in the process that started the study, in another one,
and after a restart.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import StudyError
from ..task.dump import dump_yaml
from ..waiting import Waiting
from .events import EventReader
from .plan import StudyPlan
from .state import StudyState
from .studydir import GoingOnError, StudyDir

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["StudyHandle"]

START_SECONDS = 60.0
"""Time to begin that a study is given whose manager is not known."""


class StudyHandle(Waiting):
    """One study, wherever it runs.

    Parameters
    ----------
    directory : StudyDir
        The study's directory.

    Examples
    --------
    >>> study.best_params, study.verdict["headline"]      # doctest: +SKIP
    """

    kind = "study"
    poll = 0.1

    def __init__(self, directory: StudyDir) -> None:
        super().__init__()
        self.directory = directory
        self._reader = EventReader(directory.path)
        self._state = StudyState(study_id=directory.study_id, name=directory.request().name)
        self._plan: StudyPlan | None = None
        self._born = time.time()

    @property
    def name(self) -> str:
        """The study's name."""
        return self._state.name

    @property
    def plan(self) -> StudyPlan:
        """What is searched: workflow, space, options."""
        if self._plan is None:
            self._plan = self.directory.request().plan()
        return self._plan

    @property
    def state(self) -> StudyState:
        """The state as of now, with every event folded in."""
        with self._lock:
            for event in self._reader.read_new():
                self._state.apply(event)
            return self._state

    @property
    def status(self) -> str:
        """``waiting``, ``running``, ``paused``, ``finished``, ``stopped``, ``failed``; ``interrupted`` after a kill."""
        state = self.state
        if state.ended is None and not self.directory.is_managed():
            if state.status == "waiting" and self._begins(state):
                return "waiting"
            state = self.state  # it may have ended between the two looks
            if state.ended is None:
                return "interrupted"
        return state.status

    def _begins(self, state: StudyState) -> bool:
        """Return whether a manager of the study loads its libraries, as far as is known."""
        manager = self.directory.claimed()
        if manager is not None:
            return manager.alive
        return time.time() - (state.last_event or self._born) < START_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes unless it is resumed."""
        return self.status in ("finished", "stopped", "failed", "interrupted") or self.state.is_over

    @property
    def best_params(self) -> dict[str, Any]:
        """Parameters of the best complete trial; empty without one."""
        best = self.state.best
        return {} if best is None else dict(best.params)

    @property
    def best_value(self) -> float | None:
        """Value of the best complete trial, None without one."""
        best = self.state.best
        return None if best is None else best.values[0]

    @property
    def verdict(self) -> Mapping[str, Any]:
        """How much of the best is luck: see `qnb.tuning.verdict.Verdict`."""
        return self.state.verdict

    @property
    def trials(self) -> pd.DataFrame:
        """A row for each trial: state, values, parameters, seconds; index trial."""
        import pandas as pd

        state = self.state
        names = [o.metric for o in state.spec.objectives]
        rows = [
            {
                "trial": t.number, "state": t.state, **dict(zip(names, t.values, strict=False)),
                **{f"param.{k}": v for k, v in t.params.items()}, "steps": t.steps, "seconds": t.seconds,
                "message": t.message,
            }
            for t in sorted(state.trials.values(), key=lambda t: t.number)
        ]  # fmt: skip
        frame = pd.DataFrame(rows, columns=None if rows else ["trial", "state"]).set_index("trial")
        if state.spec.on_test:
            frame.attrs["warning"] = "chosen on the TEST segment"
        return frame

    def task_text(self, trial: int) -> str:
        """Return the workflow of a trial as YAML, in the form in which the study's own workflow was written.

        Raises
        ------
        StudyError
            There is no such trial.
        """
        state = self.state
        if trial not in state.trials:
            raise StudyError(f"no trial {trial} in study {self.name}; there are {len(state.trials)}, counted from 0")
        document = self.plan.space.fill(self.plan.document, state.trials[trial].params)
        values = dict(document.values)
        if document.imports:
            values = {"sys": {"path": list(document.imports)}, **values}
        warning = "# chosen on the TEST segment: its figures are no test\n" if state.spec.on_test else ""
        return warning + dump_yaml(values)

    def cell_of(self, trial: int) -> str:
        """Return a ``%%qtask`` cell that runs a trial as a task."""
        name = "".join(c if c.isalnum() or c == "_" else "_" for c in self.name)
        seed = self.plan.spec.seed
        return f"%%qtask {name}_{trial} --seed {seed}\n{self.task_text(trial)}"

    def promote(self, trial: int | None = None) -> None:
        """Put a trial, by default the best one, into the notebook's next cell as a ``%%qtask``.

        Raises
        ------
        StudyError
            There is no such trial, or no notebook.
        """
        best = self.state.best
        if trial is None and best is None:
            raise StudyError(f"study {self.name} has no complete trial yet")
        number = trial if trial is not None else best.number if best is not None else 0
        ipython = sys.modules.get("IPython")  # where there is a notebook, it is loaded
        shell = ipython.get_ipython() if ipython is not None else None
        if shell is None:
            raise StudyError("there is no notebook to put a cell into; print(study.cell_of(trial))")
        shell.set_next_input(self.cell_of(number))

    def stop(self) -> None:
        """End the study for now; trials that are running are taken up again when it is resumed."""
        self.directory.ask("stop")

    def pause(self) -> None:
        """Start no new trials; those that are running end."""
        self.directory.ask("pause")

    def resume(self) -> None:
        """Go on: after a pause at once, else with a new manager.

        Raises
        ------
        StudyError
            The study has all of its trials; `GoingOnError` when it goes on already.
        """
        with self.directory.changing():
            if self.directory.is_taken():
                if not self.directory.asked("pause"):
                    raise GoingOnError(f"study {self.name} is going on already, as it was started; this shows it")
                self.directory.withdraw("pause")
                return
            if self.status == "finished":
                raise StudyError(f"study {self.name} is finished; start it with more trials and --resume")
            from .manager import start_manager

            self.directory.go_on()
            start_manager(self.directory)

    def __repr__(self) -> str:
        best = self.best_value
        shown = "" if best is None else f", best {best:.4g}"
        return f"<study {self.name} {self.directory.study_id} {self.status}, {self.state.done} trials{shown}>"
