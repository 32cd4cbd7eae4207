"""The pool and a dry run as a table, for a notebook and for a terminal: plain values in, text and HTML out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ..check.estimate import Estimate
from ..machine import private_memory
from ..pool.place import PoolSettings
from ..reports.numbers import MISSING, duration
from ..state import RunState

__all__ = ["Table", "estimate_table", "pool_table"]

_CELL = "padding:2px 16px 2px 0;text-align:left;border:0"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a headline and above notes; shows itself as HTML or as text.

    Attributes
    ----------
    headline : str
        One sentence.
    head : tuple of str
        Titles of the columns; may be empty.
    rows : tuple of tuple of str
        Cells.
    notes : tuple of str
        Sentences below.
    """

    headline: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.html()}

    def __str__(self) -> str:
        lines = [row for row in (self.head, *self.rows) if any(row)]
        widths = [max(len(row[i]) for row in lines) for i in range(len(lines[0]))] if lines else []
        body = ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in lines]
        return "\n".join([self.headline, *body, *self.notes])

    def html(self) -> str:
        """Return the table as HTML; every text is escaped."""
        head = "".join(f'<th scope="col" style="{_CELL}">{escape(c)}</th>' for c in self.head)
        body = "".join(
            "<tr>" + "".join(f'<td style="{_CELL}">{escape(c)}</td>' for c in row) + "</tr>" for row in self.rows
        )
        head = f"<thead><tr>{head}</tr></thead>" if any(self.head) else ""
        notes = "".join(f"<p>{escape(n)}</p>" for n in self.notes)
        return f"<p><b>{escape(self.headline)}</b></p><table>{head}<tbody>{body}</tbody></table>{notes}"


def estimate_table(name: str, estimate: Estimate) -> Table:
    """Return what a task would take as a table."""
    segments = ", ".join(f"{part} {rows:,}" for part, rows in estimate.segments.items())
    basis = f"from {estimate.basis} like run{'s' * (estimate.basis != 1)} here"
    rows = (
        ("Model", estimate.model or "a class of your own"),
        ("Data", estimate.handler or "a dataset of your own"),
        ("Stages", ", ".join(estimate.stages)),
        ("Instruments", _count(estimate.instruments)),
        ("Trading days", _count(estimate.days)),
        ("Rows", _count(estimate.rows) + (f" ({segments})" if segments else "")),
        ("Features", _count(estimate.columns)),
        ("Memory", f"about {_gb(estimate.memory)}" if estimate.memory else MISSING),
        ("Time", f"about {duration(estimate.seconds)}, {basis}" if estimate.seconds else f"{MISSING} no like run yet"),
    )
    return Table(f"{name or 'This task'} would run; nothing was started.", ("", ""), rows)


def pool_table(
    status: Mapping[str, Any], settings: PoolSettings, states: Mapping[str, RunState], changed: Sequence[str] = ()
) -> Table:
    """Return the pool as a table: workers with run and load, then the queue with the expected start.

    Parameters
    ----------
    status : mapping
        What the owner says of itself; empty when there is none.
    settings : PoolSettings
        Limits in force.
    states : mapping of str to RunState
        The runs that are named in `status`.
    changed : sequence of str
        Names of the settings that were just changed.
    """
    rows: list[tuple[str, ...]] = []
    now = time.time()
    for worker in status.get("workers", ()):
        rows.append(_worker_row(worker["name"], int(worker["pid"]), states.get(worker["run"]), settings, now))
    for run_id in status.get("adopted", ()):
        state = states.get(run_id)
        rows.append(_worker_row("of before", state.pid if state else 0, state, settings, now))
    waits = _waits(status, states, settings)
    for place, run_id in enumerate(status.get("waiting", ()), 1):
        name = states[run_id].name if run_id in states else run_id[:6]
        rows.append((f"queue {place}", "Waiting", name, "", "", "", waits.get(run_id, "")))
    headline = (
        f"Pool: {settings.workers} run{'s' * (settings.workers != 1)} at a time, {settings.threads} threads, "
        f"{_gb(settings.memory)} a worker, idle workers end after {settings.idle_minutes:g}m"
    )
    notes = [] if status else ["No worker yet: the pool starts with the first run."]
    if changed:
        notes.append(f"Changed: {', '.join(changed)}; runs that are going keep what they have.")
    head = ("Place", "Status", "Run", "pid", "Threads", "Memory", "Time") if rows else ()
    return Table(headline, head, tuple(rows), tuple(notes))


def _worker_row(name: str, pid: int, state: RunState | None, settings: PoolSettings, now: float) -> tuple[str, ...]:
    memory = private_memory(pid) if pid else 0
    shown = f"{memory / 2**30:.1f} of {settings.memory / 2**30:.1f} GB" if memory else MISSING
    if state is None:
        return name, "Idle" if pid else "Starting", "", str(pid or MISSING), "", shown, ""
    elapsed = duration(state.elapsed(now)) if state.started else ""
    left = state.remaining()
    if left is not None:
        elapsed += f", about {duration(left)} left"
    return name, "Busy", state.name, str(pid or MISSING), str(state.threads or ""), shown, elapsed


def _waits(status: Mapping[str, Any], states: Mapping[str, RunState], settings: PoolSettings) -> dict[str, str]:
    """Return for waiting runs how many are ahead, and about how long that is where the going ones know their end."""
    going = [w["run"] for w in status.get("workers", ()) if w["run"]] + list(status.get("adopted", ()))
    left = sorted(r for r in (states[g].remaining() for g in going if g in states) if r is not None)
    found = {}
    for place, run_id in enumerate(status.get("waiting", ())):
        ahead = len(going) + place
        words = f"{ahead} run{'s' * (ahead != 1)} ahead"
        if place < len(left) and len(left) == len(going):
            words += f", about {duration(left[place])}"
        found[run_id] = words
    return found


def _count(value: int | None) -> str:
    return f"{value:,}" if value is not None else MISSING


def _gb(value: float) -> str:
    return f"{value / 2**30:.1f} GB"
