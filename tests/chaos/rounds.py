"""The list of rounds: what is killed when, and what goes wrong beside it; the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["KINDS", "VICTIMS", "Round", "make_round", "make_rounds"]

KINDS = ("plain", "plain", "plain", "disk", "database")
"""Kinds of five rounds in a row."""
VICTIMS = ("worker", "fork server", "owner", "kernel", "qnb run", "study manager")
MOMENTS = ("at once", "queued", "started", "fit", "late")
OUTAGES = ("stop", "freeze", "freeze and stop")


@dataclass(frozen=True, slots=True)
class Round:
    """One round.

    Attributes
    ----------
    number, seed : int
        Its place in the list of `seed`; both together give everything else.
    kind : str
        ``plain``, ``disk`` or ``database``.
    victim, moment : str
        What is killed, and after which sign of life of a run.
    delay : float
        Seconds from that sign to the kill.
    cause_first : bool
        Whether the disk or the database fails before the kill, not after it.
    between, hold : float
        Seconds between the two, and until the disk has room or the database answers again.
    outage : str
        What happens to the database.
    small_tmp : bool
        The temporary folder lies on the small disk, too.
    notebook : bool
        A study is started from a notebook, not from a shell.
    """

    number: int
    seed: int
    kind: str
    victim: str
    moment: str
    delay: float
    cause_first: bool
    between: float
    hold: float
    outage: str
    small_tmp: bool
    notebook: bool

    @property
    def title(self) -> str:
        """What a line about the round begins with."""
        cause = {"plain": "", "disk": "full disk", "database": self.outage}[self.kind]
        return f"round {self.number:3d} seed {self.seed} {self.kind:8s} {self.victim:13s} {self.moment:7s} {cause:15s}"


def make_round(number: int, seed: int) -> Round:
    """Return round `number`, counted from 0."""
    rng = random.Random(f"{seed}:{number}")
    kind = KINDS[number % len(KINDS)]
    of_its_kind = number // len(KINDS) * KINDS.count(kind) + KINDS[: number % len(KINDS)].count(kind)
    return Round(
        number=number, seed=seed, kind=kind, victim=VICTIMS[of_its_kind % len(VICTIMS)], moment=rng.choice(MOMENTS),
        delay=rng.uniform(0.0, 1.5), cause_first=rng.random() < 0.5, between=rng.uniform(0.0, 3.0),
        hold=rng.uniform(2.0, 12.0), outage=rng.choice(OUTAGES), small_tmp=rng.random() < 0.5,
        notebook=rng.random() < 0.5,
    )  # fmt: skip


def make_rounds(count: int, seed: int, *, only: str = "") -> list[Round]:
    """Return `count` rounds, of one kind if `only` names it."""
    rounds: list[Round] = []
    number = 0
    while len(rounds) < count:
        found = make_round(number, seed)
        if only in ("", found.kind):
            rounds.append(found)
        number += 1
    return rounds
