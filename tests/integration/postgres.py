"""A PostgreSQL server of our own on a free port, which can be stopped, frozen and started again."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

__all__ = ["Postgres", "free_port", "missing", "own_server"]

PASSWORD = "hunter2"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def missing() -> str:
    """Return what this machine lacks to run a server; empty when it lacks nothing."""
    if not glob.glob("/usr/lib/postgresql/*/bin"):
        return "needs PostgreSQL's server (Debian package postgresql)"
    if shutil.which("createdb") is None:
        return "needs PostgreSQL's client"
    try:
        import psycopg2  # noqa: F401
    except ImportError:
        return "needs psycopg2 to reach PostgreSQL: pip install 'qnb[postgresql]'"
    return ""


class Postgres:
    """One server.

    Parameters
    ----------
    base : Path
        Folder for its data; must belong to the user that `as_user` makes of a command.
    as_user : list of str
        What goes before a command: the server refuses to run as root.
    """

    def __init__(self, base: Path, as_user: list[str]) -> None:
        self._programs = Path(sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1])
        self._base, self._as_user = base, as_user
        self._data = str(base / "data")
        self._control = [*as_user, str(self._programs / "pg_ctl"), "-D", self._data, "-w", "-t", "200"]
        self.port = 0

    def make(self) -> None:
        """Make the data folder and start on a free port."""
        password = self._base / "password"
        password.write_text(f"{PASSWORD}\n")
        make = [str(self._programs / "initdb"), "-D", self._data, "-U", "qnb", "-A", "scram-sha-256"]
        subprocess.run([*self._as_user, *make, f"--pwfile={password}", "--no-sync"], check=True, capture_output=True)
        for attempt in range(3):  # another process may take the free port first
            self.port = free_port()
            if self._started(check=attempt == 2):
                return

    def create(self, name: str, *, template: str = "template1") -> str:
        """Make a database and return its address."""
        command = ["createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "qnb", "-T", template, name]
        subprocess.run(command, check=True, env={**os.environ, "PGPASSWORD": PASSWORD})
        return f"postgresql+psycopg2://qnb:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start again, on the port it had."""
        self._started(check=True)

    def stop(self, mode: str = "immediate") -> None:
        """End it: ``fast`` after closing connections, ``immediate`` as a crash does."""
        subprocess.run([*self._control, "-m", mode, "stop"], check=False, stdout=subprocess.DEVNULL)

    def freeze(self) -> None:
        """Have all of its processes stand still: connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Take back `freeze`."""
        self._signal(signal.SIGCONT)

    def _started(self, *, check: bool) -> bool:
        options = f"-p {self.port} -k {self._base} -c listen_addresses=127.0.0.1 -c fsync=off"
        start = [*self._control, "-o", options, "-l", str(self._base / "log"), "start"]
        return subprocess.run(start, check=check, stdout=subprocess.DEVNULL).returncode == 0

    def _signal(self, number: int) -> None:
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
                process.send_signal(number)

    def _processes(self) -> list[psutil.Process]:
        first = psutil.Process(int((Path(self._data) / "postmaster.pid").read_text().split()[0]))
        return [first, *first.children(recursive=True)]


@contextmanager
def own_server() -> Iterator[Postgres]:
    """Run a server with a password; it is ended and its folder removed in the end."""
    base = Path(tempfile.mkdtemp(prefix="qnb-pg-"))  # pytest's own folders are closed to the server's user
    as_user: list[str] = []
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(base, user.pw_uid, user.pw_gid)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    server = Postgres(base, as_user)
    try:
        server.make()
        yield server
    finally:
        server.stop()
        shutil.rmtree(base, ignore_errors=True)
