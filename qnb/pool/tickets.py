"""Tickets: what is in the pool's queue, one small file a run, kept until the run's journal has its ending.

A ticket is written by whoever submits and removed by the owner of the pool after the run is over. So an owner that
dies at any moment leaves to the next one all that is needed: a run with a ticket waits, or is going, or its worker
died.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from pathlib import Path

from ..files import Natural, locked, make, read_json, remove, tell, write_atomically
from ..machine import boot_id
from ..private import private_folder, private_opener
from ..rundir import RunDir

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
    after : int
        Number of the event that ended the run, where the ticket has it go on; 0 for a new run.
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
    memory: Natural = 0
    retries: Natural = 1
    attempt: Natural = 0
    after: Natural = 0
    boot: str = ""
    libraries: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[int, int]:
        """What tickets are sorted by: the lowest goes first."""
        return -self.priority, self.order

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
        private_folder(self.folder)
        last = self.folder / "last"  # of the orders given; the clock may have been set back
        try:
            order = max(time.time_ns(), int(last.read_text(encoding="ascii")) + 1)
        except (OSError, ValueError):
            order = time.time_ns()
        ticket = replace(ticket, order=order, boot=boot_id())
        self.write(ticket)
        with contextlib.suppress(OSError), open(last, "w", encoding="ascii", opener=private_opener) as file:
            file.write(str(order))
        return ticket

    def write(self, ticket: Ticket) -> None:
        """Write a changed ticket; where the run lies is told relative to the project, which may be moved."""
        values = asdict(ticket) | {"directory": f".qnb/runs/{ticket.run_id}"}
        write_atomically(self._path(ticket.run_id), json.dumps(values))

    def remove(self, run_id: str, order: int | None = None) -> None:
        """Take a ticket out; nothing happens when it is gone, or when it has another `order` than was asked for."""
        with contextlib.suppress(FileNotFoundError), self.locked() if order is not None else contextlib.nullcontext():
            now = self.get(run_id) if order is not None else None
            if now is None or now.order == order:
                remove(self._path(run_id))

    def locked(self) -> AbstractContextManager[None]:
        """Keep `remove` and other processes that hold this lock away meanwhile.

        Raises
        ------
        FileNotFoundError
            The folder is gone.
        TimeoutError
            Another process does not let go of the lock.
        """
        return locked(self.folder / ".lock", seconds=60)

    def __contains__(self, run_id: str) -> bool:
        return self._path(run_id).exists()

    def get(self, run_id: str) -> Ticket | None:
        """Return the ticket of a run, or None.

        Its name says which run it is; of what it says besides, what cannot be read is told and has its default.
        """
        path = self._path(run_id)
        remedy = "its run stays in the queue under the usual limits; remove the file to take it out"
        raw = read_json(path, remedy=remedy, damaged={})
        if raw is None:
            return None
        place = {"run_id": run_id, "directory": str(self.folder.parents[1] / "runs" / run_id)}
        return make(Ticket, {**raw, **place}, lambda what: tell(path, what, remedy))

    def names(self) -> frozenset[str]:
        """Return the ids of all runs that have a ticket, without reading the tickets."""
        try:
            return frozenset(p.stem for p in self.folder.iterdir() if p.suffix == ".json" and p.name[0] != ".")
        except OSError:
            return frozenset()

    def marks(self) -> dict[str, tuple[int, int]]:
        """Return the ids of all runs that have a ticket, each with something that is different after it was changed."""
        found = {}
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(".json") and entry.name[0] != ".":
                    with contextlib.suppress(OSError):  # it was taken out meanwhile
                        status = entry.stat()
                        found[entry.name.removesuffix(".json")] = status.st_ino, status.st_mtime_ns
        return found

    def __iter__(self) -> Iterator[Ticket]:
        found = [t for t in (self.get(name) for name in self.names()) if t is not None]
        return iter(sorted(found, key=attrgetter("rank")))

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.json"
