"""The magics: parse the line, hand over, show. Everything that can be wrong is told with its line in the cell."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_cell_magic, line_magic, magics_class

from ..errors import QnbError
from ..handle import RunHandle
from ..options import parse_line, qtask_parser, run_ref_parser
from ..session import current_session

__all__ = ["QnbMagics"]


@magics_class
class QnbMagics(Magics):
    """``%%qtask``, ``%qshow``, ``%qstop``, ``%qruns``."""

    @cell_magic
    def qtask(self, line: str, cell: str) -> None:
        """Run the YAML of the cell in a process of its own; the cell returns at once.

        ::

            %%qtask lgb
            market: demo
            model: lightgbm
            features: Alpha158

        ``%%qtask NAME [--experiment E] [--check] [--set KEY=VALUE] [--seed N] [--wait] [--backend B]``

        NAME becomes a handle in the notebook: ``lgb.status``, ``lgb.metrics``, ``lgb.pred``, ``lgb.report``,
        ``lgb.recorder``, ``lgb.stop()``, ``await lgb``. A workflow YAML made for qlib runs as it is.
        """
        self._guard(self._qtask, line, cell)

    @line_magic
    def qshow(self, line: str) -> None:
        """Show a run's panel: ``%qshow NAME`` or ``%qshow 3f9c2e``; without an argument the newest run."""
        self._guard(self._qshow, line)

    @line_magic
    def qstop(self, line: str) -> None:
        """Ask a run to stop at its next safe place: ``%qstop NAME``."""
        self._guard(self._qstop, line)

    @line_cell_magic
    def qruns(self, line: str, cell: str | None = None) -> None:
        """Browse all runs, also those of plain MLflow: sort, filter, tag, rename, delete, compare, open.

        ``%qruns [--experiment E] [--filter "metrics.IC > 0.04"] [--max N] [--uri URI]``
        """
        self._guard(self._qruns, line)

    def _qtask(self, line: str, cell: str) -> None:
        options = parse_line(qtask_parser(), line)
        session = current_session()
        task, settings, warnings = session.load(
            cell, source="cell", first_line=2, variables=self._variables(), overrides=options.overrides
        )
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
        if options.check:
            print("no mistakes found" + (f", {len(warnings)} warnings" if warnings else ""))
            return
        if options.experiment:
            task = task.replace(experiment=options.experiment)
        handle = session.submit(
            task, settings, name=options.name or task.name, seed=options.seed, backend=options.backend or "kernel"
        )
        if options.name and options.name.isidentifier():
            self.shell.user_ns[options.name] = handle
        self._show(handle)
        if options.wait:
            handle.wait()

    def _qshow(self, line: str) -> None:
        self._show(current_session().find(parse_line(run_ref_parser("%qshow"), line).run))

    def _qstop(self, line: str) -> None:
        handle = current_session().find(parse_line(run_ref_parser("%qstop"), line).run)
        if handle.is_over:
            print(f"{handle.name} is {handle.status} already")
        else:
            handle.stop()
            print(f"asked {handle.name} to stop")

    def _qruns(self, line: str) -> None:
        from .qruns import show_runs

        show_runs(line, current_session().settings)

    def _show(self, handle: RunHandle) -> None:
        from ..panels.live import show

        show(handle)

    def _variables(self) -> dict[str, Any]:
        plain = (str, int, float, bool, list, tuple, dict)
        return {k: v for k, v in self.shell.user_ns.items() if not k.startswith("_") and isinstance(v, plain)}

    def _guard(self, call: Any, *arguments: Any) -> None:
        """Show our own errors as one message without a traceback of ours."""
        try:
            call(*arguments)
        except QnbError as error:
            raise UsageError(str(error)) from None
