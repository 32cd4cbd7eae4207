"""A database that stops, stands still and starts again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..integration.postgres import Postgres, missing, own_server

__all__ = ["Database", "Outage", "missing"]

TABLES = "tables"
MAKE_TABLES = """
import sys
from qnb.recorder.facade import RecorderFacade
facade = RecorderFacade()
with facade.uri_context(sys.argv[1]):
    facade.list_experiments()
"""


class Outage:
    """What happens to a server in a round.

    Parameters
    ----------
    server : Postgres
        The server.
    how : str
        ``stop``, ``freeze`` or ``freeze and stop``.
    """

    def __init__(self, server: Postgres, how: str) -> None:
        self._server, self._how = server, how
        self._going = False

    def begin(self) -> None:
        """Take the server away."""
        if self._going:
            return
        self._going = True
        if self._how.startswith("freeze"):
            self._server.freeze()
        else:
            self._server.stop()

    def end(self) -> None:
        """Have it answer again, as a server that was restarted where it was stopped."""
        if not self._going:
            return
        if self._how.startswith("freeze"):
            self._server.thaw()
        if self._how.endswith("and stop"):
            self._server.stop("fast")
        if self._how.endswith("stop"):
            self._server.start()
        self._going = False


class Database:
    """The server of all rounds; each gets an empty store of its own in it, its tables made beforehand."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        subprocess.run([sys.executable, "-c", MAKE_TABLES, server.create(TABLES)], check=True, capture_output=True)

    def store(self, name: str) -> str:
        """Return the address of a new store."""
        return self._server.create(name, template=TABLES)

    def outage(self, how: str) -> Outage:
        """Return an outage to begin and end."""
        return Outage(self._server, how)

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Database]:
        """Run a server as long as it is needed."""
        with own_server() as server:
            yield cls(server)
