"""One round, from a fresh folder to what is left in it.

1. A user starts tasks, a command or a study, in the round's own folders.
2. At the round's moment something is killed, and before or after it the disk fills up or the database goes.
3. The cause goes away; the user comes back, resumes what was interrupted, and leaves.
4. Silence is measured all the way; what is left is inspected.
"""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from . import disk
from .inspect import inspect
from .rounds import Round
from .scene import Scene
from .server import Database
from .signs import HANGS, until_left, until_over, wait_for
from .users import User, kill, user_of

__all__ = ["Outcome", "play"]


@dataclass
class Outcome:
    """How a round went.

    Attributes
    ----------
    faults : list of str
        What is wrong; empty for a good round.
    notes : list of str
        Endings before anybody resumed anything, and what they say.
    killed : bool
        Whether there was something to kill.
    silence : float
        Longest time in seconds without a sign of life after the cause was gone.
    """

    played: Round
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    killed: bool = False
    silence: float = 0.0
    seconds: float = 0.0

    @property
    def line(self) -> str:
        """The round in a line, and its faults below."""
        how = "killed" if self.killed else "nobody to kill"
        head = f"{self.played.title} {how}, silent for {self.silence:.1f} s, took {self.seconds:.0f} s"
        return "\n".join(["; ".join([head, *self.notes]), *(f"    FAULT {fault}" for fault in self.faults)])


class Cause(Protocol):
    """What goes wrong beside a kill."""

    def begin(self) -> None:
        """Go wrong."""

    def end(self) -> None:
        """Be right again."""


def play(played: Round, base: Path, database: Database | None) -> Outcome:
    """Play a round in the folder `base` and return how it went."""
    outcome, began = Outcome(played), time.monotonic()
    with ExitStack() as stack:
        work, tmp, cause, uri = base / "work", base / "tmp", None, ""
        if played.kind == "disk":
            cause = stack.enter_context(disk.small_disk(base / "disk"))
            work = base / "disk" / "work"
            tmp = base / "disk" / "tmp" if played.small_tmp else tmp
        elif played.kind == "database" and database is not None:
            uri, cause = database.store(f"round{played.number}"), database.outage(played.outage)
            stack.callback(cause.end)
        scene = Scene(work, tmp, base / "home", uri)
        user = user_of(scene, played)
        stack.callback(_end_all, scene)
        try:
            _story(scene, user, outcome, cause)
        except (AssertionError, OSError, RuntimeError, psutil.Error) as error:
            outcome.faults.append(f"{type(error).__name__}: {error}")
            outcome.faults += inspect(scene)
        outcome.seconds = time.monotonic() - began
        if outcome.faults:
            _keep(scene, base)
    return outcome


def _story(scene: Scene, user: User, outcome: Outcome, cause: Cause | None) -> None:
    played = outcome.played
    user.start()
    wait_for(scene, played.moment)
    time.sleep(played.delay)
    steps: list[Callable[[], None]] = [lambda: _kill(user, outcome)]
    if cause is not None:
        steps.insert(0 if played.cause_first else 1, cause.begin)
    steps[0]()
    for step in steps[1:]:
        time.sleep(played.between)
        step()
    if cause is not None:
        if played.kind == "disk":
            cause.begin()  # what was killed may have left room
        time.sleep(played.hold)
        cause.end()
    user.come_back()
    outcome.silence = until_over(scene)
    unfinished = [run for run in scene.runs() if run.status != "finished"]
    outcome.notes += [f"{run.name} {run.status}: {_why(run)}" for run in unfinished]
    if played.kind == "plain" and played.victim not in ("qnb run", "study manager"):
        outcome.faults += [f"run {run.name} is {run.status}: {_why(run)}" for run in unfinished]
    for run in unfinished:
        user.go_on(run)
    if unfinished:
        outcome.silence = max(outcome.silence, until_over(scene))
    user.close()
    outcome.silence = max(outcome.silence, until_left(scene))
    outcome.faults += inspect(scene)
    ends = Counter(h.status for h in [*scene.runs(), *scene.studies()])
    outcome.notes.append(", ".join(f"{n} {status}" for status, n in sorted(ends.items())))


def _kill(user: User, outcome: Outcome) -> None:
    """Kill as soon as there is somebody to kill."""
    end = time.monotonic() + HANGS
    while time.monotonic() < end and not outcome.killed:
        for victim in user.victims()[:1]:
            kill(victim)
            outcome.killed = True
        time.sleep(0.02)


def _why(run: object) -> str:
    state = run.state  # type: ignore[attr-defined]
    ending = state.failure or state.stop
    return (ending.message if state.failure else ending.reason)[:160] if ending else ""


def _end_all(scene: Scene) -> None:
    """End what a round with a fault left running."""
    for process in scene.processes():
        try:
            process.kill()
        except psutil.Error:
            continue


def _keep(scene: Scene, base: Path) -> None:
    """Copy the working folder of a small disk beside it, to be looked at."""
    if scene.work.parent != base:
        subprocess.run(["cp", "-a", str(scene.work), str(base / "kept")], check=False)
