"""The magics: parse the line, hand over, show. Everything that can be wrong is told with its line in the cell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class

from ..config import Settings
from ..errors import ConfigError, PoolError, Problem, UnknownNameError
from ..handle import RunHandle
from ..names import wrong_with
from ..options import (
    data_parser,
    parse_line,
    pool_parser,
    qtask_parser,
    resume_parser,
    runs_parser,
    show_parser,
    stop_parser,
)
from ..pool.tickets import Ticket
from ..rundir import RunDir
from ..session import Session, current_session
from ..task.spec import Task
from .guard import one_message

__all__ = ["QnbMagics", "with_options"]

MOST_PANELS = 20
"""Of the runs that are going, when none is named: each panel takes its room and its time."""


def with_options(parser: Callable[[], argparse.ArgumentParser]) -> Callable[[Any], Any]:
    """Add the options of `parser` to the docstring that ``%magic?`` shows."""

    def add(method: Any) -> Any:
        # A cell's example stands in the docstring already.
        text = parser().format_help().partition("\nexample")[0]
        method.__doc__ = f"{method.__doc__}\n{text}"
        return method

    return add


@magics_class
class QnbMagics(Magics):
    """``%%qtask``, ``%qtask``, ``%qshow``, ``%qstop``, ``%qresume``, ``%qpool``, ``%qdata``, ``%qruns``."""

    @line_cell_magic
    @with_options(qtask_parser)
    def qtask(self, line: str, cell: str | None = None) -> None:
        """Run the YAML of the cell in a process of its own; the cell returns at once.

        A cell to try, on the embedded demo market::

            %%qtask lgb
            market: demo
            model: lightgbm
            features: Alpha158

        NAME becomes a handle in the notebook: ``lgb.status``, ``lgb.metrics``, ``lgb.pred``, ``lgb.report``,
        ``lgb.recorder``, ``lgb.stop()``, ``await lgb``. A workflow YAML made for qlib runs as it is.

        ``%qtask workflow.yaml`` runs a file. ``{{ name }}`` in the YAML is a variable of the notebook. A model class
        of the notebook runs as ``class: MyNet`` with ``module_path: __main__``.
        """
        self._guard(self._qtask, line, cell)

    @line_magic
    @with_options(show_parser)
    def qshow(self, line: str) -> None:
        """Show the panel of runs: ``%qshow NAME`` or ``%qshow 3f9c2e``.

        Without a name: of every run that is going, or else of the newest. ``%qshow a b --overlay`` draws the curves
        of several runs over each other.
        """
        self._guard(self._qshow, line)

    @line_magic
    @with_options(stop_parser)
    def qstop(self, line: str) -> None:
        """Ask runs to stop at their next safe place: ``%qstop NAME``, ``%qstop a b``, ``%qstop --all``.

        A run that does not listen is interrupted after 5 seconds, then terminated, then killed.
        """
        self._guard(self._qstop, line)

    @line_magic
    @with_options(resume_parser)
    def qresume(self, line: str) -> None:
        """Have a run that was stopped or interrupted go on from its checkpoint: ``%qresume NAME``."""
        self._guard(self._qresume, line)

    @line_magic
    @with_options(pool_parser)
    def qpool(self, line: str) -> None:
        """Show workers, load, queue and settings of the pool; with options, change them.

        ``%qpool --workers 3 --memory 8GB`` · ``%qpool --next lgb``
        """
        self._guard(self._qpool, line)

    @line_magic
    @with_options(data_parser)
    def qdata(self, line: str) -> None:
        """Market data: ``%qdata info [STORE]``, ``check``, ``demo``, ``import SOURCE STORE``, ``cache``.

        Takes what ``qnb data`` takes; without anything it says what the notebook's own store holds.
        """
        self._guard(self._qdata, line)

    @line_cell_magic
    @with_options(runs_parser)
    def qruns(self, line: str, cell: str | None = None) -> None:
        """Browse all runs, also those of plain MLflow: sort, filter, tag, rename, delete, compare, open.

        ``%qruns --clean`` removes the folders of runs that were deleted.
        """
        self._guard(self._qruns, line)

    def _qtask(self, line: str, cell: str | None) -> None:
        options = parse_line(qtask_parser(), line)
        session = current_session()
        text, source, name = self._text(options, cell)
        task, settings, warnings = session.load(
            text, source=source, first_line=1 if cell is None else 2, variables=self._variables(),
            overrides=options.overrides,
        )  # fmt: skip
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
        from ..check.by_value import objects_of_the_notebook

        objects = objects_of_the_notebook(task, settings, self.shell.user_ns)
        if options.check:
            print("no mistakes found" + (f", {len(warnings)} warnings" if warnings else ""))
            return
        if options.experiment:
            task = task.replace(experiment=options.experiment)
        name = name or task.name
        if options.dry_run:
            self._dry_run(name, task, settings)
            return
        handle = _to_resume(session, name, task) if options.resume else None
        if handle is not None:
            session.resume(handle)
        else:
            handle = session.submit(
                task, settings, name=name, seed=options.seed, backend=options.backend or "kernel",
                ticket=_ticket(options, task), objects=objects,
            )  # fmt: skip
        if name.isidentifier():
            self.shell.user_ns[name] = handle
        self._show(handle)
        if options.wait:
            handle.wait()

    def _text(self, options: argparse.Namespace, cell: str | None) -> tuple[str, str, str]:
        """Return the YAML, where it is from, and the name of the run."""
        if cell is not None:
            return cell, "cell", options.name or ""
        from ..task.file import workflow_text

        if not options.name:
            raise ConfigError([Problem("%qtask needs a file", "write %qtask workflow.yaml, or a %%qtask cell")])
        path = Path(options.name).expanduser()
        if not path.is_file():
            remedy = "give the path of a workflow YAML; a cell starts with %%qtask, with two signs"
            raise ConfigError([Problem(f"no file {options.name!r}", remedy)])
        return workflow_text(path), str(path), path.stem

    def _dry_run(self, name: str, task: Task, settings: Settings) -> None:
        from IPython.display import display

        from ..check.estimate import estimate_task
        from .words import estimate_table

        display(estimate_table(name, estimate_task(task, settings)))

    def _qshow(self, line: str) -> None:
        options = parse_line(show_parser(), line)
        session = current_session()
        if options.run:
            handles = [session.find(ref) for ref in options.run]
        else:
            going = session.attach()[::-1]
            going.sort(key=lambda h: h.status != "running")
            if len(going) > MOST_PANELS:
                print(f"{len(going) - MOST_PANELS} more are going: %qpool lists them, %qshow NAME shows one")
            handles = going[:MOST_PANELS] or [session.find(None)]
        if options.overlay and len(handles) > 1:
            from ..panels.overlay import show_overlay

            show_overlay(handles)
            return
        for handle in handles:
            self._show(handle)

    def _qstop(self, line: str) -> None:
        options = parse_line(stop_parser(), line)
        session = current_session()
        if options.all:
            handles = session.going()
            if not handles:
                print("nothing is going")
        elif options.run:
            handles = [session.find(ref) for ref in options.run]
        else:
            handles = session.going()
            if len(handles) != 1:
                names = ", ".join(h.name for h in handles)
                what = f"several are going: {names}" if handles else "nothing is going"
                raise ConfigError([Problem(f"%qstop: {what}", "name the run, or say --all")])
        for handle in handles:
            if handle.is_over:
                print(f"{handle.name} is {handle.status} already")
            else:
                handle.stop()
                print(f"asked {handle.name} to stop")

    def _qresume(self, line: str) -> None:
        session = current_session()
        handle = session.resume(session.find(parse_line(resume_parser(), line).run))
        if handle.name.isidentifier():
            self.shell.user_ns[handle.name] = handle
        self._show(handle)

    def _qpool(self, line: str) -> None:
        from IPython.display import display

        from .words import pool_table

        options = parse_line(pool_parser(), line)
        pool = current_session().pool()
        given = {
            "workers": options.workers, "threads": options.threads, "memory_gb": options.memory,
            "idle_minutes": options.idle,
        }  # fmt: skip
        changes = {k: v for k, v in given.items() if v is not None}
        settings = pool.configure(changes) if changes else pool.settings()
        if options.next:
            handle = current_session().find(options.next)
            if handle.status != "waiting" or not pool.prefer(handle.run_id):
                raise PoolError(f"{handle.name} is {handle.status}; only a waiting run can go next")
        status = pool.status()
        named = {w["run"] for w in status.get("workers", ())} | {*status.get("adopted", ()), *status.get("waiting", ())}
        runs_dir = current_session().settings.runs_dir
        states = {run: RunHandle(RunDir(runs_dir / run)).state for run in named if not wrong_with(run)}
        display(pool_table(status, settings, states, tuple(changes)))

    def _qdata(self, line: str) -> None:
        from ..data_commands import run_data_command

        session = current_session()
        if not line.strip():
            line = f"info {session.settings.uri_for()!r}"
        run_data_command(parse_line(data_parser(), line), session.settings)

    def _qruns(self, line: str) -> None:
        from .qruns import show_runs

        show_runs(line, current_session().settings)

    def _show(self, handle: RunHandle) -> None:
        from ..panels.live import show

        show(handle, retry=self._retry)

    def _retry(self, handle: RunHandle) -> RunHandle:
        """Try a run again for a panel's button; the name in the notebook follows. Called from the panel's thread."""
        again = current_session().retry(handle)
        if handle.name.isidentifier() and self.shell.user_ns.get(handle.name) is handle:
            self.shell.user_ns[handle.name] = again
        return again

    def _variables(self) -> dict[str, Any]:
        plain = (str, int, float, bool, list, tuple, dict)
        return {k: v for k, v in self.shell.user_ns.items() if not k.startswith("_") and isinstance(v, plain)}

    def _guard(self, call: Any, *arguments: Any) -> None:
        with one_message():
            call(*arguments)


def _ticket(options: argparse.Namespace, task: Task) -> Ticket:
    from ..check.estimate import libraries_of_task

    return Ticket(
        "", "", priority=options.priority, timeout=options.timeout, memory=int(options.memory * 2**30),
        retries=options.retries, libraries=libraries_of_task(task),
    )  # fmt: skip


def _to_resume(session: Session, name: str, task: Task) -> RunHandle | None:
    """Return the newest run of that name and task that can go on; None where there is none, which is told."""
    try:
        handle = session.find(name)
    except UnknownNameError:
        handle = None
    if handle is not None and not handle.is_over:
        raise PoolError(f"{name} is {handle.status} already; %qshow {name} shows it")
    unfinished = handle is not None and handle.status != "finished" and handle.directory.asks_for(task)
    if handle is not None and unfinished and handle.directory.has_checkpoint:
        return handle
    print(f"no checkpoint of {name} for this task; it starts from the beginning", file=sys.stderr)
    return None
