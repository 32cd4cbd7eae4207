"""Tickets: what is in the pool's queue, one small file a run, kept until the run's journal has its ending.

A ticket is written by whoever submits and removed by the owner of the pool after the run is over. So an owner that
dies at any moment leaves to the next one all that is needed: a run with a ticket waits, or is going, or its worker
died.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..machine import boot_id
from ..rundir import RunDir, write_atomically

__all__ = ["Ticket", "TicketBox"]


@dataclass(frozen=True, slots=True)
class Ticket:
    """A run's place in the queue and the limits it runs under.

    Attributes
    ----------
    run_id, directory : str
        The run.
    priority : int
        Higher goes first.
    order : int
        Among equal priorities lower goes first.
    timeout : float
        Seconds the run may take; 0 without a limit.
    memory : int
        Bytes of its own that the worker may have; 0 for the pool's setting.
    retries : int
        How often it is tried again after a crash of its worker.
    attempt : int
        Tries that were begun.
    boot : str
        Start of the machine in which it was submitted or last begun.
    libraries : tuple of str
        Heavy libraries the run will import, for the fork server to have ready.
    """

    run_id: str
    directory: str
    priority: int = 0
    order: int = 0
    timeout: float = 0.0
    memory: int = 0
    retries: int = 1
    attempt: int = 0
    boot: str = ""
    libraries: tuple[str, ...] = ()

    @property
    def run(self) -> RunDir:
        """The run's directory."""
        return RunDir(Path(self.directory))


class TicketBox:
    """The folder of the tickets.

    Parameters
    ----------
    folder : Path
        Made when a ticket is put into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, ticket: Ticket) -> Ticket:
        """Add `ticket` at the end of its priority; returns it as it was written."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        last = max((t.order for t in self), default=0)
        ticket = replace(ticket, order=max(time.time_ns(), last + 1), boot=boot_id())
        self.write(ticket)
        return ticket

    def write(self, ticket: Ticket) -> None:
        """Write a changed ticket."""
        write_atomically(self._path(ticket.run_id), json.dumps(asdict(ticket)))

    def remove(self, run_id: str) -> None:
        """Take a ticket out; nothing happens when it is gone."""
        self._path(run_id).unlink(missing_ok=True)

    def get(self, run_id: str) -> Ticket | None:
        """Return the ticket of a run, or None."""
        return _read(self._path(run_id))

    def names(self) -> frozenset[str]:
        """Return the ids of all runs that have a ticket, without reading the tickets."""
        try:
            return frozenset(p.stem for p in self.folder.iterdir() if p.suffix == ".json" and p.name[0] != ".")
        except FileNotFoundError:
            return frozenset()

    def __iter__(self) -> Iterator[Ticket]:
        found = [t for t in (self.get(name) for name in self.names()) if t is not None]
        return iter(sorted(found, key=lambda t: (-t.priority, t.order)))

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.json"


_KNOWN = frozenset(f.name for f in fields(Ticket))


def _read(path: Path) -> Ticket | None:
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    values = {k: v for k, v in raw.items() if k in _KNOWN}
    values["libraries"] = tuple(values.get("libraries", ()))
    return Ticket(**values)
