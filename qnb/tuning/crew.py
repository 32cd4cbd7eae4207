"""The workers of a study: long-lived processes that a manager gives jobs to and hears from.

A worker starts in a session of its own, so Ctrl-C reaches the manager alone, with its threads limited. It ends when the
manager closes its standard input, or ends in whatever way.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..errors import PoolError
from .messages import Answer, Done, Hello, Job, Report, decode, encode

__all__ = ["Crew", "Died", "ProcessCrew"]

READY_SECONDS = 120.0
_ROOT = str(Path(__file__).resolve().parents[2])
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Died:
    """A worker's process ended; `code` as `subprocess` has it, `job` what it was doing."""

    code: int
    job: Job | None


class Crew(Protocol):
    """Evaluates jobs on a number of workers, numbered from 1."""

    def idle(self) -> list[int]:
        """Return the workers that are ready and have no job."""
        ...

    def start(self, worker: int, job: Job) -> None:
        """Give a job to an idle worker."""
        ...

    def answer(self, worker: int, *, prune: bool) -> None:
        """Answer a report."""
        ...

    def poll(self, timeout: float) -> list[tuple[int, Hello | Report | Done | Died]]:
        """Return what workers said, waiting up to `timeout` seconds for the first word. A dead worker starts anew."""
        ...

    def kill(self, worker: int) -> None:
        """End a worker that hangs; `poll` tells of its death."""
        ...

    def pid(self, worker: int) -> int:
        """Return a worker's process id."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...


@dataclass(slots=True)
class _Member:
    process: subprocess.Popen[bytes]
    ready: bool = False
    job: Job | None = None
    rest: bytes = b""
    words: list[bytes] = field(default_factory=list)


class ProcessCrew:
    """Workers that are processes of this machine.

    Parameters
    ----------
    folder : Path
        The study's directory.
    jobs, threads : int
        Workers, and CPU threads of each.
    """

    def __init__(self, folder: Path, *, jobs: int, threads: int) -> None:
        self._folder, self._threads = folder, threads
        self._selector = selectors.DefaultSelector()
        self._members: dict[int, _Member] = {}
        self._failed_starts = 0
        (folder / "logs").mkdir(exist_ok=True)
        for number in range(1, jobs + 1):
            self._spawn(number)

    def idle(self) -> list[int]:
        """Return the workers that are ready and have no job."""
        return [n for n, m in self._members.items() if m.ready and m.job is None]

    def start(self, worker: int, job: Job) -> None:
        """Give a job to an idle worker."""
        self._members[worker].job = job
        self._send(worker, encode(job))

    def answer(self, worker: int, *, prune: bool) -> None:
        """Answer a report."""
        self._send(worker, encode(Answer(prune)))

    def pid(self, worker: int) -> int:
        """Return a worker's process id."""
        return self._members[worker].process.pid

    def poll(self, timeout: float) -> list[tuple[int, Hello | Report | Done | Died]]:
        """Return what workers said; a worker that died is replaced."""
        found: list[tuple[int, Hello | Report | Done | Died]] = []
        for key, _ in self._selector.select(timeout):
            number: int = key.data
            member = self._members[number]
            data = os.read(key.fd, 1 << 16)
            *lines, member.rest = (member.rest + data).split(b"\n")
            for line in lines:
                message = decode(line)
                if isinstance(message, Hello):
                    member.ready, self._failed_starts = True, 0
                if isinstance(message, Done):
                    member.job = None
                if isinstance(message, Hello | Report | Done):
                    found.append((number, message))
            if not data:
                found.append((number, self._bury(number)))
        return found

    def kill(self, worker: int) -> None:
        """End a worker that hangs."""
        self._members[worker].process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """End all workers: standard input closes, and who does not hear that is killed."""
        for member in self._members.values():
            self._selector.unregister(member.process.stdout)  # type: ignore[arg-type]
            for pipe in (member.process.stdin, member.process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
        for member in self._members.values():
            try:
                member.process.wait(timeout=2.0)
            except subprocess.TimeoutExpired:
                member.process.kill()
                member.process.wait()
        self._members.clear()
        self._selector.close()

    def _spawn(self, number: int) -> None:
        env = {k: v for k, v in os.environ.items() if k not in ("JPY_PARENT_PID", "JPY_SESSION_NAME", "MPLBACKEND")}
        env |= dict.fromkeys(_THREADS, str(self._threads))
        env["PYTHONPATH"] = os.pathsep.join(p for p in (env.get("PYTHONPATH"), _ROOT) if p)
        with (self._folder / "logs" / f"worker-{number}.txt").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "qnb.tuning.worker", str(self._folder)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True, env=env, bufsize=0,
            )  # fmt: skip
        self._members[number] = _Member(process)
        assert process.stdout is not None
        self._selector.register(process.stdout, selectors.EVENT_READ, number)

    def _bury(self, number: int) -> Died:
        member = self._members[number]
        assert member.process.stdout is not None
        self._selector.unregister(member.process.stdout)
        member.process.stdout.close()
        if member.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                member.process.stdin.close()
        code = member.process.wait()
        if not member.ready:
            self._failed_starts += 1
            if self._failed_starts >= 3:
                log = self._folder / "logs" / f"worker-{number}.txt"
                tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])
                raise PoolError(f"worker {number} does not start (exit {code}); the end of its log:\n{tail}")
        self._spawn(number)
        return Died(code, member.job)

    def _send(self, worker: int, line: bytes) -> None:
        pipe = self._members[worker].process.stdin
        assert pipe is not None
        view = memoryview(line)
        try:
            while view:
                view = view[pipe.write(view) or 0 :]
        except (BrokenPipeError, OSError):
            pass  # its death is told by poll
