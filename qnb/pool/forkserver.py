"""The fork server: a process with the heavy libraries loaded that makes workers by forking itself.

``python -m qnb.pool.forkserver FD`` speaks lines of JSON on the socket FD:

``{"start": id, "kernel": [...], "log": file}``                    fork a worker -> ``{"started": id, "pid": n}``
``{"preload": ["torch"]}``                                         import when there is nothing else to do
(on its own)                                                       ``{"ended": pid, "code": n}``

``python -m qnb.pool.forkserver --kernel JSON`` is a worker itself, where the system cannot fork.

It has one thread and never calls into torch or OpenMP before it forks, so nothing is lost in the child. When the
owner of the pool is gone it ends; workers that are busy go on.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections import deque
from pathlib import Path
from typing import Any

from ..machine import ProcessId, process_id
from ..refused import refusal

__all__ = ["BASE", "main"]

BASE = (
    "ipykernel.kernelapp", "qnb.execution.worker", "pandas", "pyarrow.parquet", "mlflow", "lightgbm",
    "cloudpickle", "threadpoolctl",
)  # fmt: skip
"""What every worker needs; loaded before the first fork."""
HARMLESS_THREADS = frozenset({"jemalloc_bg_thd"})
"""Threads that know how to be forked (jemalloc has its own handlers)."""


def main(argv: list[str] | None = None) -> int:
    """Serve until the other end is closed."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[0] == "--kernel":
        return _run_kernel(json.loads(arguments[1]))
    with socket.socket(fileno=int(arguments[0])) as owner:
        _Server(owner).serve()
    return 0


class _Server:
    def __init__(self, owner: socket.socket) -> None:
        self._owner = owner
        self._rest = b""
        self._orders: deque[dict[str, Any]] = deque()
        self._wanted: deque[str] = deque()
        self._loaded: set[str] = set()
        self._woken, self._waker = os.pipe()
        for end in (self._woken, self._waker):
            os.set_blocking(end, False)

    def serve(self) -> None:
        """Take orders; between them import what was asked for."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(self._waker)
        for name in BASE:
            self._load(name)
        gc.collect()
        gc.freeze()
        self._say({"ready": True, "threads": self._foreign_threads()})
        while True:
            ready, _, _ = select.select([self._owner.fileno(), self._woken], [], [], None if not self._wanted else 0.2)
            if self._woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._bury()
            if self._owner.fileno() in ready and not self._read():
                return
            while self._orders:
                self._obey(self._orders.popleft())
            if not ready and self._wanted:
                self._load(self._wanted.popleft())
                gc.freeze()

    def _read(self) -> bool:
        data = self._owner.recv(65536)
        if not data:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._orders.extend(json.loads(line) for line in lines if line)
        return True

    def _obey(self, order: dict[str, Any]) -> None:
        if "preload" in order:
            self._wanted.extend(n for n in order["preload"] if n not in self._loaded and n not in self._wanted)
            return
        if self._foreign_threads():
            self._say({"refused": order["start"], "why": f"threads {self._foreign_threads()} cannot be forked"})
            return
        try:
            pid = os.fork()
        except OSError as error:
            self._say({"refused": order["start"], "why": refusal(error)})
            return
        if pid == 0:
            self._become_worker(order)
        self._say({"started": order["start"], "pid": pid, "began": process_id(pid).began})

    def _become_worker(self, order: dict[str, Any]) -> None:
        """Turn this copy into a kernel; never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.setsid()
            self._owner.close()
            os.close(self._woken)
            os.close(self._waker)
            log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.close(log)
            sys.argv = ["ipykernel_launcher"]
            code = _run_kernel(order["kernel"])
        except BaseException:  # noqa: BLE001 - the copy must end here, whatever happened
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _bury(self) -> None:
        """Tell the owner of every child that ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})

    def _load(self, name: str) -> None:
        try:
            importlib.import_module(name)
        except (ImportError, OSError, TypeError, ValueError) as error:  # not installed, broken, or no library's name
            sys.stderr.write(f"fork server: {name} is not loaded ahead: {error}\n")
        self._loaded.add(name)

    def _foreign_threads(self) -> list[str]:
        """Return the names of threads that would be lost in a fork."""
        try:
            tasks = os.listdir("/proc/self/task")
        except OSError:
            return []
        own = str(os.getpid())
        names = []
        for task in tasks:
            with contextlib.suppress(OSError):
                name = Path(f"/proc/self/task/{task}/comm").read_text(encoding="utf-8", errors="replace").strip()
                if task != own and name not in HARMLESS_THREADS:
                    names.append(name)
        return names

    def _say(self, message: dict[str, Any]) -> None:
        self._owner.sendall(json.dumps(message).encode() + b"\n")


def _run_kernel(kernel: dict[str, Any]) -> int:
    """Run an ipykernel until it is shut down or its owner is gone.

    Parameters
    ----------
    kernel : dict
        ``connection``, its file; ``owner``, number and beginning of the process it belongs to; ``leave``, files to
        remove at the end; ``folder``, for the user's imports.
    """
    from ipykernel.kernelapp import IPKernelApp

    # By name: this half of the package never depends on what runs in a worker.
    lifetime = importlib.import_module("qnb.execution.lifetime")
    lifetime.end_with(ProcessId(*kernel["owner"]), kernel["leave"])
    if kernel["folder"] not in sys.path:
        sys.path.insert(0, kernel["folder"])
    IPKernelApp.clear_instance()
    app = IPKernelApp.instance()
    app.initialize(["-f", kernel["connection"], "--HistoryManager.enabled=False"])
    app.start()
    atexit._run_exitfuncs()  # `os._exit` will skip them
    return 0


if __name__ == "__main__":
    sys.exit(main())
