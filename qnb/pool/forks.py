"""The owner's side of the fork server: starts it, asks it for workers, hears of their end."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from ..errors import PoolError
from ..machine import ProcessId, process_id
from ..private import private_opener

__all__ = ["ForkServer", "Forked", "RefusedError", "Spawned", "can_fork", "signal_group", "worker_environment"]

READY_TIMEOUT = 120.0
ANSWER_TIMEOUT = 30.0


def can_fork() -> bool:
    """Return whether workers can be forked here; macOS's own libraries do not survive it, Windows has no fork."""
    return sys.platform.startswith("linux") and hasattr(os, "fork")


class RefusedError(PoolError):
    """The fork server will not fork: a library left a thread that a fork would lose, or the system has no room."""


class ForkServer:
    """One fork server; safe for several threads.

    Parameters
    ----------
    log : Path
        File for its output.
    cwd : Path
        Working folder of the workers.
    env : mapping of str to str
        Environment of the workers.
    """

    def __init__(self, log: Path, *, cwd: Path, env: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs, open(log, "ab", opener=private_opener) as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "qnb.pool.forkserver", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, cwd=cwd, env=dict(env),
            )  # fmt: skip
        self._socket = ours
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._asked: set[int] = set()
        self._answers: dict[int, dict[str, Any]] = {}
        self._workers: dict[int, Forked] = {}
        self._ready = self._gone = False
        self._reader = threading.Thread(target=self._read, name="qnb-forks", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Number of the server's process."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it can still fork."""
        return not self._gone and self._process.poll() is None

    def start(self, kernel: Mapping[str, Any], log: Path) -> Forked:
        """Fork a worker.

        Parameters
        ----------
        kernel : mapping
            See `qnb.pool.forkserver`.
        log : Path
            File for its output.

        Raises
        ------
        PoolError
            When the server cannot fork; a worker can be spawned instead.
        """
        number = next(self._numbers)
        with self._changed:
            if not self._changed.wait_for(lambda: self._ready or not self.lives, timeout=READY_TIMEOUT):
                raise PoolError(f"the fork server did not load its libraries within {READY_TIMEOUT:g}s")
        self._asked.add(number)
        self._send({"start": number, "kernel": dict(kernel), "log": str(log)})
        with self._changed:
            self._changed.wait_for(lambda: number in self._answers or not self.lives, timeout=ANSWER_TIMEOUT)
            self._asked.discard(number)
            answer = self._answers.pop(number, {})
        if "refused" in answer:
            raise RefusedError(f"the fork server started no worker: {answer['why']}")
        if "worker" not in answer:
            raise PoolError("the fork server started no worker: it does not answer")
        worker: Forked = answer["worker"]
        return worker

    def preload(self, libraries: tuple[str, ...]) -> None:
        """Have it import libraries when it has nothing else to do."""
        if libraries:
            with contextlib.suppress(PoolError):
                self._send({"preload": list(libraries)})

    def wait(self, worker: Forked, seconds: float) -> bool:
        """Return whether `worker` has ended, or this server, within `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: worker.exit_code is not None or self._gone, timeout=seconds)

    def close(self) -> None:
        """End the server; its workers go on."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:  # in the middle of an import
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=2.0)
        self._socket.close()

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise PoolError(f"the fork server is gone: {error}") from error

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._socket.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                with self._changed:
                    self._hear(json.loads(line))
                    self._changed.notify_all()
        with self._changed:
            self._gone = True
            self._changed.notify_all()

    def _hear(self, message: dict[str, Any]) -> None:
        """Take in what the server says; the lock is held.

        It tells the end of a worker before the system gives its number to another process.
        """
        if "ended" in message:
            ended = self._workers.pop(int(message["ended"]), None)
            if ended is not None:
                ended.exit_code = int(message["code"])
        elif "started" in message:
            worker = Forked(self, int(message["pid"]), float(message["began"]))
            self._workers[worker.pid] = worker
            if message["started"] in self._asked:
                self._answers[message["started"]] = {"worker": worker}
            else:  # who asked for it has given up
                worker.signal(signal.SIGKILL)
        elif "refused" in message and message["refused"] in self._asked:
            self._answers[message["refused"]] = message
        elif "ready" in message:
            self._ready = True


class Forked:
    """A worker that the fork server made: it is not our child, so the server tells its end.

    Attributes
    ----------
    exit_code : int or None
        Status, negative for a signal; None while it lives, and where the server did not live to tell it.
    """

    name = "worker"

    def __init__(self, server: ForkServer, pid: int, began: float = 0.0) -> None:
        self._server = server
        self.pid = pid
        self._identity = ProcessId(pid, began) if began else process_id(pid)
        self.exit_code: int | None = None

    @property
    def identity(self) -> ProcessId:
        """Number and beginning."""
        return self._identity

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self.exit_code is not None or (not self._server.lives and not self._identity.alive)

    def signal(self, number: int) -> None:
        """Send a signal to it and its children."""
        if not self.ended:
            signal_group(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended within `seconds`."""
        return self._server.wait(self, seconds) and self.ended


class Spawned:
    """A worker that is our own child."""

    name = "worker"

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        self.identity = process_id(process.pid)

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        """Status, negative for a signal."""
        return self._process.returncode

    def signal(self, number: int) -> None:
        """Send a signal to it and its children."""
        if not self.ended:
            signal_group(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended within `seconds`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=seconds)
        return self.ended


def signal_group(pid: int, number: int) -> None:
    """Send a signal to process `pid`; the last ones, which end it, also to what it started."""
    kill = getattr(signal, "SIGKILL", signal.SIGTERM)
    with contextlib.suppress(OSError, psutil.Error):
        if number in (signal.SIGTERM, kill) and hasattr(os, "killpg") and os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            psutil.Process(pid).send_signal(number)


def worker_environment() -> dict[str, str]:
    """Return the workers' environment, without a tie to the notebook's life.

    Numerical libraries start with one thread; a run is given its share of the cores when it begins.
    """
    env = {k: v for k, v in os.environ.items() if k not in ("JPY_PARENT_PID", "JPY_SESSION_NAME", "MPLBACKEND")}
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        env[name] = "1"
    package_root = str(Path(__file__).resolve().parents[2])
    env["PYTHONPATH"] = os.pathsep.join(p for p in (env.get("PYTHONPATH"), package_root) if p)
    env["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    return env
