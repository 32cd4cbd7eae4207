"""Draws a run on a terminal: one line a finished stage, one live line for the current one; plain lines in a log."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from . import events as ev
from .reports.numbers import duration
from .state import RunState, Stage

__all__ = ["TerminalView"]

_MARKS = {"finished": "✓", "failed": "✗", "stopped": "■", "running": "◐"}
_COLOURS = {"finished": "32", "failed": "31", "stopped": "33", "running": "36"}
REDRAW = 0.1
PLAIN_EVERY = 5.0


class TerminalView:
    """A listener of events that keeps a terminal up to date.

    Parameters
    ----------
    stream : text stream
        Where to draw; standard error by default, so that results can be piped.
    quiet : bool
        Draw nothing but warnings and failures.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self.state = RunState()
        self._out = stream or sys.stderr
        self._live = self._out.isatty() and not quiet
        self._quiet = quiet
        self._drawn = 0.0
        self._note = ""
        utf8 = (getattr(self._out, "encoding", None) or "ascii").lower().startswith("utf")
        self._marks = _MARKS if utf8 else {"finished": "ok", "failed": "x", "stopped": "-", "running": ">"}
        self._bar = ("━", "─") if utf8 else ("#", "-")

    def __call__(self, event: ev.Event) -> None:
        """Take an event in and redraw if it is time."""
        self.state.apply(event)
        if self._quiet:
            if isinstance(event, ev.LogLine) and event.level in ("warning", "error"):
                self._print(event.text)
            return
        match event:
            case ev.RunStarted():
                run = self.state
                self._print(self._bold(run.name or "run") + f"  {run.experiment} / {run.run_id}".rstrip(" /"))
            case ev.StageChanged(status="finished"):
                stage = next(s for s in self.state.stages if s.name == event.stage)
                self._print(self._stage_line(stage))
                self._note = ""
            case ev.LogLine():
                if event.level in ("warning", "error"):
                    self._print("  " + self._colour(event.text, "33" if event.level == "warning" else "31"))
                else:
                    self._note = event.text
            case ev.RunFailed() | ev.RunStopped():
                for ended in (s for s in self.state.stages if s.status in ("failed", "stopped")):
                    self._print(self._stage_line(ended))
            case _:
                self._redraw(event.time)

    def _redraw(self, now: float) -> None:
        stage = self.state.stage
        if stage is None:
            return
        if self._live:
            if time.monotonic() - self._drawn >= REDRAW:
                self._drawn = time.monotonic()
                self._out.write("\r\x1b[2K" + self._live_line(stage, now))
                self._out.flush()
        elif self.state.progress is not None and time.monotonic() - self._drawn >= PLAIN_EVERY:
            self._drawn = time.monotonic()
            self._print("  " + self._progress_text())

    def _live_line(self, stage: Stage, now: float) -> str:
        width = max(40, shutil.get_terminal_size().columns - 1)
        head = f"{self._marks['running']} {stage.title:<10}"
        text = self._progress_text()
        share = self._share()
        bar = ""
        if share is not None and width > 70:
            full = round(20 * share)
            bar = self._bar[0] * full + self._bar[1] * (20 - full) + "  "
        left = self.state.remaining()
        tail = f"  about {duration(left)} left" if left is not None else f"  {duration(now - stage.started)}"
        line = f"{head} {bar}{text}{tail}"
        return line[:width]

    def _progress_text(self) -> str:
        progress = self.state.progress
        if progress is None:
            return self._note
        words = [f"{progress.unit} {progress.step:,}"]
        if progress.stop_at:
            words.append(f"stops at {progress.stop_at:,} unless better")
        elif progress.total:
            words[0] += f" of {progress.total:,}"
        if progress.text:
            words.append(progress.text)
        stage = self.state.stage
        for name, curve in list(self.state.curves.items())[:2] if stage is not None and stage.name == "fit" else []:
            words.append(f"{name} {curve.values[-1]:.5f}")
        return "  ".join(words)

    def _share(self) -> float | None:
        progress = self.state.progress
        if progress is None:
            return None
        end = progress.stop_at or progress.total
        return min(1.0, progress.step / end) if end else None

    def _stage_line(self, stage: Stage) -> str:
        mark = self._colour(self._marks[stage.status], _COLOURS[stage.status])
        words = [f"{mark} {stage.title:<10} {duration(stage.seconds):>7}"]
        if stage.name == "fit" and self.state.progress is not None:
            progress = self.state.progress
            words.append(f"{progress.step:,} {progress.unit}s")
            if progress.best_step:
                words.append(f"best at {progress.best_step:,}")
        elif self._note:
            words.append(self._note)
        return "  ".join(words)

    def _print(self, text: str) -> None:
        clear = "\r\x1b[2K" if self._live else ""
        self._out.write(f"{clear}{text}\n")
        self._out.flush()

    def _colour(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._live else text

    def _bold(self, text: str) -> str:
        return self._colour(text, "1")
