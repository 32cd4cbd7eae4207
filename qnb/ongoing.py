"""Which runs are not over, found without folding the journals of those that are.

1. The last event of a run's life (queued, started, tried again, ended) says how it stands; it is looked for from the
   journal's end, where an ending is the last line.
2. Runs that are over are noted in a file beside their folder, so that of those not even the journal's end is read at
   the next look. It can be removed at any time: what is not noted is looked at.
3. A run goes on again by a ticket (`qnb.pool.tickets`), so a run with a ticket is looked at always.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from pathlib import Path

from .events import from_json
from .files import parse_json, write_atomically
from .journal import JOURNAL_NAME
from .rundir import RunDir
from .state import OVER, RunState, load_state

__all__ = ["last_status", "ongoing_runs"]

BLOCK = 4096
_LIFE = (b'"event":"Run', b'"event": "Run')


def last_status(directory: str | Path) -> str:
    """Return the status of the run in `directory` as `qnb.state.load_state` has it, from the end of its journal."""
    return _glance(f"{directory}/{JOURNAL_NAME}") or load_state(Path(directory)).status


def _glance(journal: str) -> str:
    """Return the status at the end of a journal; '' where it cannot be told from there."""
    with contextlib.suppress(OSError), open(journal, "rb", buffering=0) as file:
        size, block = file.seek(0, os.SEEK_END), BLOCK
        while True:
            start = max(0, size - block)
            file.seek(start)
            status = _last_status(file.read(size - start), whole=start == 0)
            if status or start == 0:
                return status
            block *= 16
    return ""


def _last_status(data: bytes, *, whole: bool) -> str:
    """Return the status that the last event of the run's life leaves it in; '' where `data` holds none."""
    end = data.rfind(b"\n")  # what follows is being written
    while True:
        at = max(data.rfind(text, 0, max(end, 0)) for text in _LIFE)
        first = data.rfind(b"\n", 0, max(at, 0)) + 1
        if at < 0 or (first == 0 and not whole):
            return ""
        with contextlib.suppress(ValueError):
            raw = parse_json(data[first : data.find(b"\n", at)])
            event = from_json(raw) if isinstance(raw, dict) else None
            status = "unknown" if event is None else RunState().apply(event).status
            if status != "unknown":
                return status
        end = first


def ongoing_runs(runs_dir: Path, tickets: Collection[str] = ()) -> list[RunDir]:
    """Return the runs below `runs_dir` that wait or run as their journals have it, newest first.

    Parameters
    ----------
    runs_dir : Path
        Folder of all runs.
    tickets : collection of str
        Ids of the runs that the pool is answerable for.
    """
    try:
        names = os.listdir(runs_dir)
    except OSError:
        return []
    note = runs_dir.with_name("over")
    noted = _noted(note)
    found, over = [], []
    for name in names:
        if name in noted and name not in tickets:
            continue
        path = f"{runs_dir}/{name}"
        with contextlib.suppress(OSError):  # no run, or one that is being deleted
            queued = os.stat(f"{path}/request.json").st_mtime_ns
            status = last_status(path)
            if status in OVER:
                over.append(name)
            elif status != "unknown":
                found.append((queued, path))
    _note(note, [name for name in over if name not in noted], compact=len(noted) > 2 * len(names) + 1000)
    return [RunDir(Path(path)) for _, path in sorted(found, reverse=True)]


def _noted(note: Path) -> frozenset[str]:
    try:
        return frozenset(note.read_text(encoding="utf-8", errors="replace").split("\n"))
    except OSError:
        return frozenset()


def _note(note: Path, over: list[str], *, compact: bool) -> None:
    """Add runs to the note, or have it begin anew with them where most of what it names is gone."""
    text = "\n".join(["", *over, ""])  # a line that was torn ends here
    with contextlib.suppress(OSError):  # read-only, or full: the next look takes longer
        if compact:
            write_atomically(note, text)
        elif over:
            with note.open("a", encoding="utf-8") as file:
                file.write(text)
