"""Draws a study on a terminal: a line a trial, and its verdict at the end."""

from __future__ import annotations

import math
import sys
import time
from typing import TextIO

from ..reports.numbers import duration
from . import events as ev
from .objectives import short_name
from .state import StudyState

__all__ = ["StudyTerminal", "value_text"]

_MARKS = {"complete": "✓", "pruned": "–", "failed": "✗"}


class StudyTerminal:
    """A listener of a study's events that writes lines.

    Parameters
    ----------
    stream : text stream
        Where to write; standard error by default, so that results can be piped.
    quiet : bool
        Write warnings and the verdict only.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self.state = StudyState()
        self._out = stream or sys.stderr
        self._quiet = quiet
        utf8 = (getattr(self._out, "encoding", None) or "ascii").lower().startswith("utf")
        self._marks = _MARKS if utf8 else {"complete": "ok", "pruned": "-", "failed": "x"}
        self._red = ("\x1b[31m", "\x1b[0m") if self._out.isatty() else ("", "")

    def __call__(self, event: ev.StudyEvent) -> None:
        """Take an event in."""
        if isinstance(event, ev.StudyStarted) and self.state.study_id not in ("", event.study_id):
            self.state = StudyState()  # the next stage of a pipeline
        self.state.apply(event)
        match event:
            case ev.StudyStarted() if not self._quiet:
                spec = self.state.spec
                goal = ", ".join(f"{o.direction} {short_name(o.metric)}" for o in spec.objectives)
                again = f", {event.done} are there" if event.done else ""
                self._say(
                    f"study {event.name} / {event.study_id}: {goal}; {len(event.space)} parameters, "
                    f"{spec.trials} trials{again}, {spec.jobs} worker{'s' if spec.jobs > 1 else ''}, "
                    f"{spec.sampler}, seed {spec.seed}"
                )
            case ev.TrialEnded() if not self._quiet:
                self._trial(event)
            case ev.StudyPaused():
                self._say(f"paused: {event.reason}")
            case ev.StudyLog() if event.level != "info" or not self._quiet:
                red = self._red if "TEST" in event.text else ("", "")
                self._say(f"{red[0]}{event.level}: {event.text}{red[1]}")
            case ev.StudyEnded():
                self._end(event)

    def recall(self, event: ev.StudyEvent) -> None:
        """Take in an event of an earlier manager without a word."""
        if isinstance(event, ev.StudyStarted) and self.state.study_id not in ("", event.study_id):
            self.state = StudyState()
        self.state.apply(event)

    def _trial(self, event: ev.TrialEnded) -> None:
        state, spec = self.state, self.state.spec
        best = state.best
        if event.state == "complete":
            said = "  ".join(
                f"{short_name(o.metric)} {value_text(v)}" for o, v in zip(spec.objectives, event.values, strict=True)
            )
            said += "  best" if best is not None and best.number == event.trial else ""
        elif event.state == "pruned":
            said = f"pruned after {event.steps} of {event.of}"
        else:
            said = f"failed: {event.message.splitlines()[0] if event.message else event.error}"
        params = ", ".join(f"{k} {value_text(v)}" for k, v in state.trials[event.trial].params.items())
        head = f"{self._marks[event.state]} trial {event.trial:>3} {state.done:>3}/{spec.trials}"
        self._say(f"{head}  {duration(event.seconds):>6}  {said}  ({params})")

    def _end(self, event: ev.StudyEnded) -> None:
        state = self.state
        best = state.best
        counts = " · ".join(f"{state.count(s)} {s}" for s in ("complete", "pruned", "failed"))
        took = duration(state.seconds(time.time()))
        self._say(f"{event.status}: {counts}, {took}" + (f"; {event.message}" if event.message else ""))
        if best is not None:
            shown = ", ".join(
                f"{short_name(o.metric)} {value_text(v)}"
                for o, v in zip(state.spec.objectives, best.values, strict=True)
            )
            self._say(f"best: trial {best.number}, {shown}: " + ", ".join(f"{k}={v}" for k, v in best.params.items()))
        verdict = state.verdict
        if verdict:
            red = self._red if verdict.get("kind") in ("test", "noise") else ("", "")
            self._say(f"{red[0]}{verdict['headline']}.{red[1]} {verdict['sentence']} {verdict['advice']}")
            self._say(_numbers(verdict) + str(verdict["basis"]))

    def _say(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


def value_text(value: object) -> str:
    """Return a value for people: four significant digits of a float."""
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else "–"
    return str(value)


def _numbers(verdict: dict[str, object] | object) -> str:
    found = verdict if isinstance(verdict, dict) else {}
    if found.get("deflated") is None:
        return ""
    overfit = found.get("overfit")
    shown = f"{100 * overfit:.0f} %" if isinstance(overfit, float) else "–"
    return (
        f"deflated Sharpe {value_text(found['deflated'])}, overfitting {shown}, Sharpe ratio found "
        f"{found['found']:.2f}, by luck {found['by_luck']:.2f}. "
    )
