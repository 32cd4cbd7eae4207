"""Workers that are detached ipykernel processes, so a restart of the notebook's kernel does not end a training.

A worker runs in a session of its own, without the notebook's parent id, with standard output in a log file, and stays
warm between runs. It is forked from a process that has the libraries loaded, or spawned where that is not possible.
It belongs to the owner of the pool; when that is gone and the run is over, it ends itself.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...errors import PoolError
from ...files import read_json, write_atomically
from ...machine import ProcessId, process_id
from ...private import private_opener, strangers_hold
from ...refused import refusal
from ...rundir import RunDir
from ...state import load_state
from ..forks import Forked, ForkServer, RefusedError, Spawned, can_fork, worker_environment
from ..protocols import Crash, Limits, StartError
from ..watch import supervise

__all__ = ["KernelBackend"]

READY_TIMEOUT = 60.0
CLOSE_TIMEOUT = 3.0
STARTING = 600.0
"""Seconds after which a folder without a socket is no starting worker's any more."""
TOO_LARGE = 2 * 2**30
"""A worker that kept more memory than this after a run is replaced before the next one."""

_SETUP = """
from pathlib import Path as _Path
from qnb.execution import worker as _qnb_worker
from qnb.rundir import RunDir as _RunDir
"""
_RUN = (
    "_qnb_worker.execute_run(_RunDir(_Path({path!r})), place=_qnb_worker.Place(worker={name!r}, threads={threads},"
    " memory_limit={memory}, attempt={attempt}, own_process=True))"
)


class KernelBackend:
    """Makes detached ipykernel workers.

    Parameters
    ----------
    folder : Path
        For connection files and logs; private to the user.
    work_dir : Path
        Working folder of the workers.
    fork : bool
        Fork workers where the system can.
    """

    def __init__(self, folder: Path, work_dir: Path, *, fork: bool = True) -> None:
        self.folder, self.work_dir = Path(folder), Path(work_dir)
        self._fork = fork and can_fork()
        self._server: ForkServer | None = None
        self._lock = threading.Lock()
        self._count = itertools.count(1)
        self._libraries: tuple[str, ...] = ()
        self._closed = False

    def worker(self, number: int) -> KernelWorker:
        """Return worker `number`; its process starts when it is warmed or with its first run."""
        return KernelWorker(number, self)

    def prepare(self, libraries: tuple[str, ...]) -> None:
        """Start the fork server if there is none and have it import `libraries`."""
        missing = tuple(name for name in libraries if name not in self._libraries)
        self._libraries += missing
        server = self._forks()
        if server is not None and missing:
            server.preload(missing)

    def close(self) -> None:
        """End the fork server; no worker starts any more."""
        self._closed = True
        with self._lock:
            if self._server is not None:
                self._server.close()
                self._server = None

    def server_pid(self) -> int:
        """Return the number of the fork server's process; 0 without one."""
        return self._server.pid if self._server is not None and self._server.lives else 0

    def start(self, stem: str) -> tuple[Forked | Spawned, Path]:
        """Start a kernel; returns its process and its connection file.

        Raises
        ------
        PoolError
            When the system starts no process.
        """
        if self._closed:
            raise PoolError("the pool is ending")
        name = f"{stem}-{os.getpid()}-{next(self._count)}"
        connection = _connection_file(self.folder / f"{name}.json")
        log = self.folder / f"{name}.log"
        own = process_id()
        kernel = {
            "connection": str(connection), "owner": [own.pid, own.began], "folder": str(self.work_dir),
            "leave": [str(p) for p in _traces(connection)],
        }  # fmt: skip
        server = self._forks()
        if server is not None:
            try:
                return server.start(kernel, log), connection
            except PoolError as error:
                if self._closed:
                    _remove(_traces(connection))
                    raise
                self._fork = self._fork and not isinstance(error, RefusedError)  # a dead server is replaced
                with open(log, "a", encoding="utf-8", opener=private_opener) as file:
                    file.write(f"spawned, not forked: {error}\n")
        try:
            with open(log, "ab", opener=private_opener) as output:
                process = subprocess.Popen(
                    [sys.executable, "-m", "qnb.pool.forkserver", "--kernel", json.dumps(kernel)],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                    cwd=self.work_dir, env=worker_environment(),
                )  # fmt: skip
        except OSError as error:
            raise StartError(f"the system starts no worker: {refusal(error)}") from error
        return Spawned(process), connection

    def _forks(self) -> ForkServer | None:
        if not self._fork or self._closed:
            return None
        with self._lock:
            if self._server is None or not self._server.lives:
                if self._server is not None:
                    self._server.close()
                try:
                    log = self.folder / "forkserver.log"
                    self._server = ForkServer(log, cwd=self.work_dir, env=worker_environment())
                except OSError:
                    self._fork, self._server = False, None
                    return None
                self._server.preload(self._libraries)
            return self._server


class KernelWorker:
    """One detached kernel.

    Parameters
    ----------
    number : int
        1-based number, part of the worker's name.
    backend : KernelBackend
        Starts its processes.
    """

    def __init__(self, number: int, backend: KernelBackend) -> None:
        self.name = f"worker {number}"
        self._backend = backend
        self._process: Forked | Spawned | None = None
        self._connection: Path | None = None
        self._leaves: list[Path] = []
        self._client: Any = None

    def process(self) -> int:
        """Return the number of its process; 0 while there is none."""
        return self._process.pid if self._process is not None and not self._process.ended else 0

    def run(self, directory: RunDir, limits: Limits) -> Crash | None:
        """Run `directory`; see `qnb.pool.protocols.Worker`."""
        crash = self._run(directory, limits)
        if crash is not None and crash.again and load_state(directory.path).attempt < limits.attempt:
            crash = self._run(directory, limits)  # the idle worker had died unnoticed: this was no try of the run
        return crash

    def _run(self, directory: RunDir, limits: Limits) -> Crash | None:
        self.warm()
        process = self._process
        if process is None:
            raise PoolError(f"{self.name} has no process")
        process.name = self.name
        self._execute(
            _RUN.format(
                path=str(directory.path), name=self.name, threads=limits.threads, memory=limits.memory,
                attempt=limits.attempt,
            )
        )  # fmt: skip
        crash = supervise(process, directory, limits, self._idle)
        if process.ended:
            self._abandon()
        else:
            self._renew_if_large()
        return crash

    def warm(self) -> None:
        """Start the kernel if there is none."""
        if self._process is not None and self._process.ended:
            self._abandon()
        if self._process is None:
            self._start()

    def close(self) -> None:
        """End the kernel, which is idle."""
        if self._client is None and self._process is not None:  # it could be started, but not noted: the disk is full
            self._process.signal(9)
            self._process.wait(CLOSE_TIMEOUT)
            self._abandon()
        if self._client is not None:
            from jupyter_core.utils import ensure_event_loop

            self._shut_down()
            ensure_event_loop().close()  # the client made one for this thread, which ends now

    def _start(self) -> None:
        from jupyter_client import BlockingKernelClient

        process, connection = self._backend.start(self.name.replace(" ", "-"))
        self._process, self._connection = process, connection
        self._leaves = _traces(connection)  # at its end a kernel removes the file that tells where its sockets are
        write_atomically(connection.with_suffix(".pid"), f"{process.pid} {process.identity.began}")
        self._client = BlockingKernelClient(connection_file=str(connection))
        self._client.load_connection_file()
        self._client.start_channels()
        self._wait_ready()
        self._execute(_SETUP)
        self._wait_idle()

    def _renew_if_large(self) -> None:
        from ...machine import private_memory

        if self._process is not None and private_memory(self._process.pid) > TOO_LARGE:
            self._shut_down()

    def _shut_down(self) -> None:
        """Have the kernel, which is idle, end itself; one that does not is killed."""
        self._client.shutdown()
        if self._process is not None and not self._process.wait(CLOSE_TIMEOUT):
            self._process.signal(9)
            self._process.wait(CLOSE_TIMEOUT)
        self._abandon()

    def _execute(self, code: str) -> None:
        self._drain()
        self._client.execute(code, silent=True, store_history=False)

    def _wait_ready(self) -> None:
        """Ask for kernel_info until it answers; a worker that ends or stays silent is told with its log."""
        end = time.monotonic() + READY_TIMEOUT
        while True:
            self._client.kernel_info()
            with contextlib.suppress(queue.Empty):
                if self._client.get_shell_msg(timeout=0.2)["msg_type"] == "kernel_info_reply":
                    return
            process, connection = self._process, self._connection
            dead = process is None or process.ended
            if dead or time.monotonic() > end:
                log = connection.with_suffix(".log") if connection else Path()
                text = log.read_text(errors="replace")[-2000:] if log.is_file() else ""
                if process is not None:
                    process.signal(9)
                self._abandon()
                what = "ended while it started" if dead else f"did not answer within {READY_TIMEOUT:g}s"
                raise StartError(f"the worker {what}; its log ended with:\n{text}")

    def _drain(self) -> None:
        """Drop replies to questions that were asked more than once."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._client.get_shell_msg(timeout=0)

    def _wait_idle(self) -> None:
        end = time.monotonic() + READY_TIMEOUT
        while not self._idle(0.2):
            if time.monotonic() > end or self._process is None or self._process.ended:
                raise StartError(f"the worker did not become ready; see the log in {self._backend.folder}")

    def _idle(self, seconds: float) -> bool:
        """Return True once the kernel said that it finished what it was last asked; waits at most `seconds`."""
        try:
            message = self._client.get_shell_msg(timeout=seconds)
        except queue.Empty:
            return False
        if message["msg_type"] == "execute_reply" and message["content"].get("status") == "error":
            raise PoolError("the worker could not start the run: " + str(message["content"].get("evalue", "")))
        return bool(message["msg_type"] == "execute_reply")

    def _abandon(self) -> None:
        """Forget the process, which is gone, and remove what it left."""
        self._process = None
        if self._client is not None:
            self._client.stop_channels()
            self._client = None
        _remove(self._leaves)
        self._connection, self._leaves = None, []


def sweep(folder: Path) -> list[ProcessId]:
    """Remove what dead workers left in `folder`, and sockets that nobody listens to; returns those that still live.

    Called by a new owner of the pool, which holds the lock, before it starts workers of its own.
    """
    living = []
    for connection in Path(folder).glob("*.json"):
        with contextlib.suppress(OSError, ValueError):
            pid, began = connection.with_suffix(".pid").read_text(encoding="ascii").split()
            worker = ProcessId(int(pid), float(began))
            if worker.alive:
                living.append(worker)
                continue
        _remove(_traces(connection))
    for sockets in Path(tempfile.gettempdir()).glob("qnb-????????"):  # also of projects that are gone
        with contextlib.suppress(OSError):
            if not strangers_hold(sockets.stat()) and _is_deserted(sockets):
                _remove([sockets])
    return living


def _is_deserted(sockets: Path) -> bool:
    """Return whether a folder is one of sockets alone, and no process listens to any."""
    inside = list(sockets.iterdir())
    if not inside:
        return time.time() - sockets.stat().st_mtime > STARTING
    return all(path.is_socket() and _is_refused(path) for path in inside)


def _is_refused(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False


def _traces(connection: Path) -> list[Path]:
    """Return the files and folders that belong to a connection file."""
    found = [connection, connection.with_suffix(".pid"), connection.with_suffix(".log")]
    info = read_json(connection, remedy="it is removed with what else a dead worker left") or {}
    sockets = Path(str(info.get("ip", ""))).parent
    ours = info.get("transport") == "ipc" and sockets.name.startswith("qnb-")
    return [*found, sockets] if ours else found


def _remove(paths: Iterable[Path]) -> None:
    """Remove files, and folders of sockets: what else lies in a folder that a file names stays, and the folder too."""
    for path in paths:
        with contextlib.suppress(OSError):
            if path.is_dir():
                for inside in path.iterdir():
                    if inside.is_socket():
                        inside.unlink()
                path.rmdir()
            else:
                path.unlink(missing_ok=True)


def _connection_file(path: Path) -> Path:
    """Write a connection file: sockets in a private folder where the system has them, else loopback TCP."""
    from jupyter_client.connect import write_connection_file

    key = os.urandom(32).hex().encode()
    if sys.platform == "win32":
        write_connection_file(str(path), ip="127.0.0.1", key=key)
        return path
    sockets = Path(tempfile.mkdtemp(prefix="qnb-"))  # mode 0700; short, as socket paths must be
    try:
        write_connection_file(str(path), ip=str(sockets / "k"), transport="ipc", key=key)
    except OSError:  # a full disk: half a file does not tell where the sockets are
        _remove([path, sockets])
        raise
    return path
