"""A real PostgreSQL server for the tests that keep runs or studies there."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A server of our own on a free port, with a password; the address of an empty database."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not folders:
        pytest.skip("needs PostgreSQL's server (Debian package postgresql)")
    if shutil.which("createdb") is None:
        pytest.skip("needs PostgreSQL's client")
    pytest.importorskip("psycopg2", reason="needs psycopg2 to reach PostgreSQL: pip install 'qnb[postgresql]'")
    programs = Path(folders[-1])
    base = Path(tempfile.mkdtemp(prefix="qnb-pg-"))  # pytest's own folders are closed to the server's user
    as_user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("postgres")
        os.chown(base, user.pw_uid, user.pw_gid)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    password, data = base / "password", str(base / "data")
    password.write_text("hunter2\n")
    make = [str(programs / "initdb"), "-D", data, "-U", "qnb", "-A", "scram-sha-256", f"--pwfile={password}"]
    subprocess.run([*as_user, *make, "--no-sync"], check=True, capture_output=True)
    control = [*as_user, str(programs / "pg_ctl"), "-D", data, "-w", "-t", "200"]
    for attempt in range(3):  # another process may take the free port first
        port = free_port()
        options = f"-p {port} -k {base} -c listen_addresses=127.0.0.1 -c fsync=off"
        start = [*control, "-o", options, "-l", str(base / "log"), "start"]
        if subprocess.run(start, check=attempt == 2, stdout=subprocess.DEVNULL).returncode == 0:
            break
    try:
        make_db = ["createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "qnb", "mlflow"]
        subprocess.run(make_db, check=True, env={**os.environ, "PGPASSWORD": "hunter2"})
        yield f"postgresql+psycopg2://qnb:hunter2@127.0.0.1:{port}/mlflow"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(base, ignore_errors=True)
