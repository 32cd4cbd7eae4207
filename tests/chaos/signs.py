"""Signs of life: how long nothing was written, and when that is too long."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from .scene import Scene

__all__ = ["HANGS", "HangError", "crowded", "until_left", "until_over", "wait_for"]

HANGS = 30.0
"""Seconds without a sign of life, on an idle machine, after which something hangs."""
POLL = 0.1
_SIGNS = {
    "queued": ('"RunQueued"', '"StudyStarted"'), "started": ('"RunStarted"', '"StudyStarted"'),
    "fit": ('"stage":"fit"', '"JobStarted"'), "late": ('"stage":"predict"', '"TrialEnded"'),
}  # fmt: skip


class HangError(AssertionError):
    """Nothing happens any more."""


def wait_for(scene: Scene, moment: str) -> None:
    """Return when a run or a study has come to `moment`, or cannot come there any more."""
    signs = _SIGNS.get(moment, ())
    end = time.monotonic() + HANGS * crowded()
    while signs and time.monotonic() < end:
        if any(sign in _text(path) for path in scene.journals() for sign in signs):
            return
        time.sleep(0.02)


def until_over(scene: Scene) -> float:
    """Return when every run and study is over: the longest time without a sign of life.

    Raises
    ------
    HangError
        When nothing happened for too long.
    """
    return _silence(
        lambda: _over(scene), lambda: [(p, p.stat().st_size) for p in scene.journals() if p.exists()],
        lambda: ", ".join(f"{h.name} {h.status}" for h in [*scene.runs(), *scene.studies()]),
    )  # fmt: skip


def until_left(scene: Scene) -> float:
    """Return when no process of the round lives any more: the longest time in which none ended."""
    return _silence(
        lambda: not scene.processes(), lambda: sorted(p.pid for p in scene.processes()),
        lambda: "; ".join(f"{p.pid} {' '.join(p.cmdline())[-90:]}" for p in scene.processes()),
    )  # fmt: skip


def _silence(done: Callable[[], bool], look: Callable[[], object], told: Callable[[], str]) -> float:
    longest, seen, since = 0.0, look(), time.monotonic()
    while not done():
        now, quiet = look(), time.monotonic() - since
        if now != seen:
            longest, seen, since = max(longest, quiet), now, time.monotonic()
        elif quiet > HANGS and quiet > HANGS * crowded():
            raise HangError(f"nothing happened for {quiet:.0f} s: {told()}")
        time.sleep(POLL)
    return max(longest, time.monotonic() - since)


def _over(scene: Scene) -> bool:
    handles = [*scene.runs(), *scene.studies()]
    return bool(handles) and all(h.is_over for h in handles)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def crowded() -> float:
    """Return how many times longer than on an idle core things take just now."""
    ratios = []
    for _ in range(5):
        began, worked = time.perf_counter(), time.thread_time()
        while time.thread_time() - worked < 0.02:
            sum(range(2000))
        ratios.append((time.perf_counter() - began) / 0.02)
    return max(1.0, *sorted(ratios)[2:])
