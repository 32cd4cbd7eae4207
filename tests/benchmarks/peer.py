"""Runs one step of the peer in its own environment, and ours in a fresh process, and compares medians."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "SHARED", "Timing", "peer_command", "peer_python", "ratio_line", "timed_process"]

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("QNB_SHARED", ROOT.parent / "shared"))


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall-clock seconds of the repetitions of one thing, and its largest resident memory in bytes."""

    name: str
    seconds: tuple[float, ...]
    peak: int = 0

    @property
    def median(self) -> float:
        """Median of the repetitions, in seconds."""
        return statistics.median(self.seconds)


def peer_python() -> Path | None:
    """Return the peer's interpreter (``QNB_PEER_PYTHON`` or the place its README names), or None."""
    path = Path(os.environ.get("QNB_PEER_PYTHON", Path.home() / ".cache" / "qnb-peer" / "bin" / "python"))
    return path if path.exists() else None


def peer_command(*words: str) -> list[str]:
    """Return the command line of one step of the peer; ends the program when it is not installed."""
    python = peer_python()
    if python is None:
        sys.exit("the peer is not installed; see ../shared/peer/README.md, or set QNB_PEER_PYTHON")
    return [str(python), str(SHARED / "peer" / "run.py"), *words]


def timed_process(
    command: Sequence[str], *, env: dict[str, str] | None = None, cwd: Path | None = None
) -> tuple[float, int, str]:
    """Run `command` and return wall-clock seconds, peak resident bytes of its process tree, and its output."""
    os.sync()  # what was written before is not written meanwhile
    began = time.perf_counter()
    process = subprocess.Popen(
        list(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
        cwd=cwd or tempfile.gettempdir(),  # the peer leaves folders where it runs
    )
    peak = _watch(process)
    out, err = process.communicate()
    seconds = time.perf_counter() - began
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{err[-3000:]}")
    return seconds, peak(), out


def _watch(process: subprocess.Popen[str]) -> Callable[[], int]:
    import threading

    import psutil

    top = 0

    def sample() -> None:
        nonlocal top
        while process.poll() is None:
            try:
                parent = psutil.Process(process.pid)
                total = sum(p.memory_info().rss for p in [parent, *parent.children(recursive=True)])
                top = max(top, total)
            except psutil.Error:
                pass
            time.sleep(0.05)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()

    def result() -> int:
        thread.join(timeout=2)
        return top

    return result


def last_json(text: str) -> dict[str, float]:
    """Return the last line of `text` that is JSON."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise ValueError(f"no JSON in {text[-500:]!r}")


def ratio_line(what: str, ours: Timing, theirs: Timing, target: float) -> str:
    """Return one line of a table: medians, ratio, target and whether it is met."""
    ratio = theirs.median / ours.median
    verdict = "met" if ratio >= target else "MISSED"
    return (
        f"{what:<44} ours {ours.median:8.3f} s   peer {theirs.median:8.3f} s   ratio {ratio:7.1f}   "
        f"target {target:5g}   {verdict}"
    )
