"""Workers that are detached ipykernel processes, so a restart of the notebook's kernel does not end a training.

A worker starts in a session of its own, without the notebook's parent id, with standard output in a log file. It stays
warm between runs. While its notebook lives it waits for the next run; when the notebook is gone and the run is over,
it ends itself. Stopping escalates: the file ``stop`` first, then SIGINT, SIGTERM and SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from ...errors import PoolError
from ...events import LogLine, RunFailed, RunStopped
from ...journal import JournalWriter
from ...rundir import RunDir
from ...state import load_state

__all__ = ["KernelBackend"]

READY_TIMEOUT = 60.0
POLL = 0.02
CLOSE_TIMEOUT = 3.0
GRACE = (5.0, 5.0, 2.0)
"""Seconds given to the stop file before SIGINT, to SIGINT before SIGTERM, to SIGTERM before SIGKILL."""

_SETUP = """
import os as _os, threading as _threading, time as _time
from pathlib import Path as _Path
from qnb.execution import worker as _qnb_worker
from qnb.rundir import RunDir as _RunDir
def _qnb_end_with(pid, began):
    import psutil
    while True:
        _time.sleep(2.0)
        try:
            alive = psutil.Process(pid).create_time() == began
        except psutil.Error:
            alive = False
        if not alive and not _qnb_worker.busy():
            _os._exit(0)
_threading.Thread(target=_qnb_end_with, args=({pid}, {began!r}), daemon=True).start()
"""
_RUN = "_qnb_worker.execute_run(_RunDir(_Path({path!r})), worker={name!r})"


class KernelBackend:
    """Makes detached ipykernel workers."""

    def worker(self, number: int, *, threads: int) -> KernelWorker:
        """Return worker `number`; its process starts with its first run."""
        return KernelWorker(number, threads)


class KernelWorker:
    """One detached kernel.

    Parameters
    ----------
    number : int
        1-based number, part of the worker's name.
    threads : int
        CPU threads for numerical libraries.
    """

    def __init__(self, number: int, threads: int) -> None:
        self.name = f"worker {number}"
        self._threads = threads
        self._process: subprocess.Popen[bytes] | None = None
        self._client: Any = None

    def run(self, directory: RunDir) -> None:
        """Run `directory`; see `qnb.pool.protocols.Worker`."""
        self._ensure_started(directory)
        self._client.execute(_RUN.format(path=str(directory.path), name=self.name), silent=True, store_history=False)
        asked_at: float | None = None
        step = 0
        process = self._process
        while True:
            if process is None or process.poll() is not None:
                self._bury(directory, process.returncode if process else None, stopped=asked_at is not None)
                return
            if self._idle():
                return
            if asked_at is None and directory.stop_asked():
                asked_at = time.monotonic()
            if asked_at is not None and step < len(GRACE) and time.monotonic() - asked_at > sum(GRACE[: step + 1]):
                self._signal(process, (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[step])
                step += 1

    def close(self) -> None:
        """Ask the kernel to end if it is idle; a busy one ends itself after its run."""
        if self._client is None:
            return
        from jupyter_core.utils import ensure_event_loop

        self._client.shutdown()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=CLOSE_TIMEOUT)
        self._client.stop_channels()
        self._client = None
        ensure_event_loop().close()  # the client made one for this thread, which ends now

    def _ensure_started(self, directory: RunDir) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        from jupyter_client import BlockingKernelClient

        runtime = directory.path.parent.parent / "workers"
        runtime.mkdir(parents=True, exist_ok=True, mode=0o700)
        stem = runtime / f"kernel-{os.getpid()}-{self.name[7:]}-{time.time_ns()}"
        connection = _connection_file(stem.with_suffix(".json"))
        settings = directory.request().settings
        with stem.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ipykernel_launcher", "-f", connection],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                cwd=settings.work_dir, env=_environment(self._threads),
            )  # fmt: skip
        self._client = BlockingKernelClient(connection_file=connection)
        self._client.load_connection_file()
        self._client.start_channels()
        self._wait_ready(stem.with_suffix(".log"))
        own = psutil.Process()
        self._client.execute(_SETUP.format(pid=own.pid, began=own.create_time()), silent=True, store_history=False)
        self._wait_idle()

    def _wait_ready(self, log: Path) -> None:
        """Ask for kernel_info until it answers; a worker that ends or stays silent is told with its log."""
        import queue

        end = time.monotonic() + READY_TIMEOUT
        while True:
            self._client.kernel_info()
            with contextlib.suppress(queue.Empty):
                if self._client.get_shell_msg(timeout=0.5)["msg_type"] == "kernel_info_reply":
                    break
            process = self._process
            dead = process is None or process.poll() is not None
            if dead or time.monotonic() > end:
                self.abandon()
                what = "ended while it started" if dead else f"did not answer within {READY_TIMEOUT:g}s"
                raise PoolError(
                    f"the worker {what}; its log {log} ends with:\n{log.read_text(errors='replace')[-2000:]}"
                )
        self._drain()

    def _drain(self) -> None:
        """Drop replies to questions that were asked more than once."""
        import queue

        with contextlib.suppress(queue.Empty):
            while True:
                self._client.get_shell_msg(timeout=0)

    def abandon(self) -> None:
        """Kill the process and forget it."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._client is not None:
            self._client.stop_channels()
            self._client = None

    def _wait_idle(self) -> None:
        end = time.monotonic() + READY_TIMEOUT
        while not self._idle():
            if time.monotonic() > end or (self._process is not None and self._process.poll() is not None):
                raise PoolError("worker did not become ready; see the log in .qnb/workers")

    def _idle(self) -> bool:
        """Return True once the kernel said that it finished what it was last asked; waits a moment for it."""
        import queue

        try:
            message = self._client.get_shell_msg(timeout=POLL)
        except queue.Empty:
            return False
        if message["msg_type"] == "execute_reply" and message["content"].get("status") == "error":
            raise PoolError("the worker could not start the run: " + str(message["content"].get("evalue", "")))
        return message["msg_type"] == "execute_reply"

    def _signal(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        process.send_signal(number)

    def _bury(self, directory: RunDir, code: int | None, *, stopped: bool) -> None:
        """Write the ending that the dead process could not write."""
        self._process = None
        if self._client is not None:
            self._client.stop_channels()
            self._client = None
        if load_state(directory.path).is_over:
            return
        with JournalWriter(directory.path) as journal:
            if stopped:
                journal.append(RunStopped(reason="ended by a signal after it did not answer the request to stop"))
                directory.write_result({"status": "stopped", "message": "ended by a signal"})
                return
            message = f"{self.name} was ended by the system (exit {code})"
            journal.append(LogLine(text=message, level="error"))
            journal.append(RunFailed(error="WorkerDied", message=message, exit_code=code))
            directory.write_result({"status": "failed", "error": "WorkerDied", "message": message})


def _connection_file(path: Path) -> str:
    """Write a connection file: sockets in a private folder where the system has them, else loopback TCP."""
    from jupyter_client.connect import write_connection_file

    key = os.urandom(32).hex().encode()
    if sys.platform == "win32":
        return write_connection_file(str(path), ip="127.0.0.1", key=key)[0]
    sockets = Path(tempfile.mkdtemp(prefix="qnb-"))  # mode 0700; short, as socket paths must be
    return write_connection_file(str(path), ip=str(sockets / "k"), transport="ipc", key=key)[0]


def _environment(threads: int) -> dict[str, str]:
    """Return the worker's environment: no tie to the notebook's life, threads limited to its share of the cores."""
    env = {k: v for k, v in os.environ.items() if k not in ("JPY_PARENT_PID", "JPY_SESSION_NAME", "MPLBACKEND")}
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        env[name] = str(threads)
    package_root = str(Path(__file__).resolve().parents[3])
    env["PYTHONPATH"] = os.pathsep.join(p for p in (env.get("PYTHONPATH"), package_root) if p)
    env["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    return env
