"""Where Optuna keeps a study: a journal file in the study's directory, or the storage behind a URL.

1. `open_storage` gives either; what a killed manager left in a journal is mended first.
2. ``postgresql://`` is given the driver that is installed, and ten seconds to answer: the libraries' own choice and
   patience differ by version.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import StudyError
from ..secrets import masked

__all__ = ["check_storage", "open_storage", "quiet"]

CONNECT_SECONDS = 10
_DRIVERS = ("psycopg2", "psycopg")


def open_storage(url: str, folder: Path) -> Any:
    """Return the storage behind `url`, or the journal in `folder` where there is no URL.

    Raises
    ------
    StudyError
        It cannot be reached.
    """
    import optuna

    if url:
        try:
            with quiet():
                return _behind(url)
        except Exception as error:
            # every driver and SQLAlchemy itself have exception trees of their own
            reason = _reason(error, url)
            raise StudyError(f"the storage {masked(url)} cannot be reached: {reason}") from error
    from .journal_file import TrialWiseJournal

    path = folder / "optuna.journal"
    _mend(path)
    return optuna.storages.JournalStorage(TrialWiseJournal(path))


def check_storage(url: str) -> None:
    """Try the storage of a study; raises `StudyError` when it cannot be reached."""
    if url:
        open_storage(url, Path()).remove_session()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna's notices about experimental parts from the user, who asked for them by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _behind(url: str) -> Any:
    import optuna

    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] not in ("postgresql", "postgres"):
        return optuna.storages.get_storage(url)
    if "+" not in scheme:
        driver = next((d for d in _DRIVERS if importlib.util.find_spec(d) is not None), _DRIVERS[0])
        url = f"postgresql+{driver}://{rest}"
    options: dict[str, Any] = {"pool_pre_ping": True}
    if "connect_timeout" not in rest:
        options["connect_args"] = {"connect_timeout": CONNECT_SECONDS}
    return optuna.storages.get_storage(optuna.storages.RDBStorage(url, engine_kwargs=options))


def _reason(error: BaseException, url: str) -> str:
    """Return the first line of what a driver said, or which library is missing, and what to do."""
    if isinstance(error, ImportError) or isinstance(error.__cause__, ImportError):
        extra = "pip install 'qnb[postgresql]'" if url.startswith("postgres") else "install the driver of that database"
        return f"its driver is not installed; {extra}"
    text = str(error.__cause__ or error).strip()  # Optuna's own words end where the driver's begin
    said = masked(text.splitlines()[0]).rstrip(".") if text else type(error).__name__
    return f"{said}; {_remedy(url)}"


def _remedy(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme.startswith("sqlite"):
        folder = Path(rest.removeprefix("/")).parent
        return "check the path" if folder.is_dir() else f"make the folder {folder}"
    if scheme.startswith(("postgres", "mysql")) and rest:
        return "check the address, and that the server runs; without one a study keeps a journal file"
    return "write sqlite:///FILE or postgresql://USER@HOST/NAME; without one a study keeps a journal file"


def _mend(path: Path) -> None:
    """Remove what a manager that was killed left: the lock of the journal, and a torn last line."""
    path.with_name(path.name + ".lock").unlink(missing_ok=True)
    for left in path.parent.glob(f"{path.name}.lock.*"):
        left.unlink(missing_ok=True)
    if path.exists():
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with path.open("r+b") as file:
                file.truncate(whole)
