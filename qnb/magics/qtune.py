"""``%%qtune`` and ``%qtune``: start or go on with a study, show its panel."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.magic import Magics, line_cell_magic, magics_class

from ..errors import ConfigError, Problem, UnknownNameError
from ..options import parse_line, qtune_parser, study_options
from ..session import current_session
from .guard import one_message
from .qtask import with_options

__all__ = ["TuneMagics"]


@magics_class
class TuneMagics(Magics):
    """``%%qtune`` and ``%qtune``."""

    @line_cell_magic
    @with_options(qtune_parser)
    def qtune(self, line: str, cell: str | None = None) -> None:
        """Search the distributions in the YAML of the cell; the cell returns at once.

        ::

            %%qtune lgb_tune --trials 50 --jobs 2
            market: demo
            model:
              lightgbm:
                learning_rate: !loguniform [0.02, 0.3]
                num_leaves: !int [16, 256]
            features: Alpha158

        NAME becomes a handle: ``lgb_tune.best_params``, ``lgb_tune.trials``, ``lgb_tune.verdict``,
        ``lgb_tune.promote()``, ``lgb_tune.stop()``, ``await lgb_tune``. Without a cell, ``%qtune NAME`` searches the
        task that a ``%%qtask NAME`` cell defined, or shows the study of that name.
        """
        with one_message():
            self._qtune(line, cell)

    def _qtune(self, line: str, cell: str | None) -> None:
        from ..tuning.handle import StudyHandle
        from ..tuning.plan import load_study, plan_of
        from ..tuning.studydir import find_study

        options = parse_line(qtune_parser(), line)
        session = current_session()
        given = study_options(options)
        name = options.name or "study"
        if cell is None:
            if not options.name:
                raise ConfigError([Problem("%qtune needs a name", "of a task or of a study")])
            document, seen = self._task_document(name)
            if document is None:
                hint = "write its workflow in a cell that begins with %%qtune, with two signs"
                handle = StudyHandle(find_study(session.settings, name, hint=hint))
                if not given and not options.resume:
                    self._show(handle, name)
                    return
                plan = plan_of(
                    handle.plan.document, name=name, options={**_kept(handle.plan.spec.to_json()), **given},
                    text=handle.plan.text, source=handle.plan.source, base_dir=session.settings.work_dir,
                )  # fmt: skip
            else:
                plan = plan_of(
                    document, name=f"{name}_tune", options=given, text=seen, source="cell",
                    base_dir=session.settings.work_dir,
                )  # fmt: skip
        else:
            plan = load_study(
                cell, source="cell", first_line=2, variables=self._variables(), name=name, options=given,
                base_dir=session.settings.work_dir,
            )  # fmt: skip
        self._start(plan, options, session)

    def _start(self, plan: Any, options: Any, session: Any) -> None:
        from ..tuning.handle import StudyHandle
        from ..tuning.manager import start_manager
        from ..tuning.open import open_study
        from ..tuning.studydir import GoingOnError

        for note in plan.notes:
            print(f"note: {note}", file=sys.stderr)
        settings = session.settings.with_(**plan.task.settings)
        if options.experiment:
            settings = settings.with_(experiment=options.experiment)
        handle = self._going_on(plan.spec.name, settings) if options.resume else None
        if handle is None:
            try:
                directory = open_study(plan, settings, resume=options.resume, namespace=self.shell.user_ns)
                start_manager(directory)
                handle = StudyHandle(directory)
            except GoingOnError:  # another notebook was first
                handle = self._going_on(plan.spec.name, settings)
                if handle is None:
                    raise
        self._show(handle, plan.spec.name)
        if options.wait:
            handle.wait()

    def _going_on(self, name: str, settings: Any) -> Any:
        """Return the handle of a study that outlived its notebook, None where it has to be started again."""
        from ..tuning.handle import StudyHandle
        from ..tuning.studydir import find_study

        directory = find_study(settings, name)
        if not directory.is_taken():
            return None
        print(f"note: study {name} is going on, as it was started; this cell shows it", file=sys.stderr)
        return StudyHandle(directory)

    def _show(self, handle: Any, name: str) -> None:
        from ..panels.study import show_study

        if name.isidentifier():
            self.shell.user_ns[name] = handle
        show_study(handle)

    def _task_document(self, name: str) -> tuple[Any, str]:
        """Return the document and YAML of a task that was defined before, (None, '') without one."""
        from ..task.document import Document, copied

        try:
            run = current_session().find(name)
        except UnknownNameError:
            return None, ""
        task = run.request.task
        document = Document(copied(task.document), {}, {}, [], task.imports)
        return document, task.to_yaml()

    def _variables(self) -> dict[str, Any]:
        plain = (str, int, float, bool, list, tuple, dict)
        return {k: v for k, v in self.shell.user_ns.items() if not k.startswith("_") and isinstance(v, plain)}


def _kept(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a study that is there, under the keys of the section ``study``."""
    found = {k: spec[k] for k in ("trials", "jobs", "threads", "sampler", "pruner", "seed", "timeout", "trial_timeout")}
    found["metric"] = [o["metric"] for o in spec["objectives"]]
    found["direction"] = [o["direction"] for o in spec["objectives"]]
    found["storage"] = spec["storage"] or None
    validation = spec["validation"]
    if validation["kind"] != "holdout":
        found["cv"] = {k: validation[k] for k in ("kind", "folds", "embargo")}
    else:
        found["segment"] = validation["segment"]
    return found
