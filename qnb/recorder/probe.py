"""Asks a tracking server or database once, within seconds, whether it is there and lets us in.

MLflow itself repeats a request for minutes before it says that nobody answers.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

from ..errors import RecorderError
from ..secrets import masked
from .base import UnreachableError
from .limit import within
from .uris import address_of, local_path

__all__ = ["missing_driver", "probe", "refuse_folder"]

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
_AWAY = re.compile(
    r"time-?out|timed out|closed the connection|could not (send|receive)|reset by peer|connection refused|starting up|"
    r"shutting down|recovery|not yet accepting|too many clients|connection slots", re.IGNORECASE,
)  # fmt: skip
"""What databases and their drivers say when they do not take a connection now, and may later."""
_DRIVERS = {"psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient", "pymysql": "pymysql", "pyodbc": "pyodbc"}


def probe(uri: str) -> None:
    """Ask whether a server is there and lets us in, once, within seconds.

    Raises
    ------
    UnreachableError
        When nothing answers, or not in time.
    RecorderError
        When it refuses.
    """
    address = address_of(uri)
    if address is None:
        return
    try:
        socket.create_connection(address, timeout=CONNECT_SECONDS).close()
        if uri.startswith(("http://", "https://")):
            _ask(uri)
        else:
            within(ANSWER_SECONDS, lambda: _log_in(uri))
    except TimeoutError as error:  # its system takes connections, it does not: it stands still
        raise UnreachableError(
            f"{masked(uri)} does not answer ({error}); see whether the server is overloaded or stands still"
        ) from error
    except OSError as error:  # of sockets and of requests
        reason = error.strerror or masked(str(error)) or type(error).__name__
        raise UnreachableError(
            f"nothing answers at {masked(uri)} ({address[0]}:{address[1]}: {reason}); start the server, correct the "
            "URI, or leave it out for sqlite:///mlflow.db in the working folder"
        ) from error


def _ask(uri: str) -> None:
    """Let an HTTP server answer, whatever it answers."""
    import requests

    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=CONNECT_SECONDS, stream=True).close()
    except requests.Timeout as error:
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:g} s") from error


def _log_in(uri: str) -> None:
    """Connect to a database once."""
    import sqlalchemy

    options = {"connect_timeout": int(CONNECT_SECONDS)} if uri.startswith("postgresql") else {}
    try:
        engine = sqlalchemy.create_engine(uri, connect_args=options)
        engine.connect().close()
        engine.dispose()
    except ImportError as error:
        raise RecorderError(missing_driver(uri, error)) from error
    except sqlalchemy.exc.SQLAlchemyError as error:
        reason = masked(str(getattr(error, "orig", None) or error).strip()).splitlines()[0]
        if _AWAY.search(reason):
            raise TimeoutError(reason) from error
        message = f"{masked(uri)} refuses the connection: {reason}; check user, password and database"
        raise RecorderError(message) from error


def refuse_folder(uri: str) -> None:
    """Raise `RecorderError` for a folder, in which MLflow keeps no runs any more, naming the URI to use instead."""
    if uri.startswith("file:") or ("://" not in uri and not uri.startswith(("databricks", "uc:", "sqlite:"))):
        folder = (local_path(uri) or Path(uri)).expanduser().absolute()
        raise RecorderError(
            f"{uri!r} is a folder, and MLflow keeps no runs in folders any more; use sqlite:///{folder}/mlflow.db "
            "(old runs: `mlflow migrate-filestore` moves them)"
        )


def missing_driver(uri: str, error: ImportError) -> str:
    """Return the message for a database whose driver is not installed."""
    package = _DRIVERS.get(str(error.name), str(error.name))
    return f"{masked(uri)} needs {error.name}, which is not installed; install it with: pip install {package}"
