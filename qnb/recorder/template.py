"""A new SQLite store: a copy of an empty one that MLflow made once on this machine.

MLflow builds its tables by some sixty migrations, which takes seconds; a copy takes milliseconds and is the same file.
The empty store is kept in the cache folder, one for each MLflow version.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..config import default_cache_dir
from ..errors import RecorderError
from ..project import make_folder
from ..refused import refusal, what_refuses

__all__ = ["new_store", "prepare"]

LOCK_SECONDS = 120.0
MAKE_SECONDS = 120.0


def new_store(path: Path, artifact_root: Path, cache_dir: Path | None = None) -> None:
    """Make the store `path` if there is none; safe when several processes ask at once.

    Parameters
    ----------
    path : Path
        The SQLite file.
    artifact_root : Path
        Folder for the artifacts of MLflow's default experiment.
    cache_dir : Path, optional
        Where the empty store is kept; default: the cache folder that the environment names.

    Raises
    ------
    RecorderError
        When it cannot be made.
    """
    try:
        if _exists(path):
            return
        make_folder(path.parent)
        _copy(_empty_store(cache_dir), path, artifact_root)
    except (OSError, sqlite3.Error) as error:
        cause = what_refuses(path) or error if isinstance(error, sqlite3.Error) else error
        said = refusal(cause, at=path, elsewhere="give another place with --uri") or str(error)
        raise RecorderError(f"cannot make the store {path}: {said}") from error


def prepare(cache_dir: Path | None = None) -> None:
    """Have MLflow make the empty store in the background, if this machine has none yet; returns at once.

    For whoever knows early that there will be a run. A store that is asked for meanwhile waits for it.
    """

    def work() -> None:
        with contextlib.suppress(RecorderError, OSError):  # told to whoever asks for the store
            _empty_store(cache_dir)

    threading.Thread(target=work, name="qnb-recorder-prepare", daemon=True).start()


def _exists(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _copy(source: Path, path: Path, artifact_root: Path) -> None:
    """Copy under another name, then link: of several processes one makes the store, the others find it there."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", ignore_cleanup_errors=True) as folder:
        fresh = Path(folder) / "store.db"
        shutil.copyfile(source, fresh)
        with contextlib.closing(sqlite3.connect(fresh)) as connection, connection:
            connection.execute("PRAGMA journal_mode = MEMORY")  # nobody else has seen it; a file more may not fit
            connection.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0", (str(artifact_root / "0"),)
            )
        try:
            os.link(fresh, path)
        except OSError:  # there already, perhaps without content; or a file system without links
            if not _exists(path):
                os.replace(fresh, path)


def _empty_store(cache_dir: Path | None) -> Path:
    """Return the empty store of the installed MLflow version, made by the first process that needs it."""
    from filelock import FileLock, Timeout

    try:
        made = (cache_dir or default_cache_dir()) / "mlflow" / f"empty-{version('mlflow')}.db"
    except PackageNotFoundError as error:
        raise RecorderError("mlflow is not installed; install it with: pip install mlflow") from error
    if _exists(made):
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(made.with_suffix(".lock"), timeout=LOCK_SECONDS):
            if not _exists(made):
                _make(made)
    except Timeout as error:
        raise RecorderError(f"another process makes {made} and does not end; remove {error.lock_file}") from error
    return made


def _make(made: Path) -> None:
    """Let MLflow make its tables in a process of its own: nothing of it stays in this one."""
    with tempfile.TemporaryDirectory(dir=made.parent, prefix=".empty-") as folder:
        fresh = Path(folder) / "store.db"
        code = f"from {__package__}.mlflow import make_tables; make_tables({str(fresh)!r})"
        home = str(Path(__file__).resolve().parents[2])
        places = [home, os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in places if p)}
        command = [sys.executable, "-W", "ignore", "-c", code]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=MAKE_SECONDS, check=False, env=environment
            )
        except subprocess.TimeoutExpired as error:
            raise RecorderError(f"MLflow did not make its tables within {MAKE_SECONDS:g} s; try again") from error
        if done.returncode or not _exists(fresh):
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise RecorderError(f"MLflow could not make its tables: {last}; check the installation: pip check")
        os.replace(fresh, made)
