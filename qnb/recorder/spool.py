"""A file for what a tracking store did not take, and the way back from it."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import RecorderError
from ..names import checked_name
from ..private import private_folder
from ..secrets import masked
from .base import Entry, MetricPoint, ParamSet, TagDeleted, TagSet

__all__ = ["Spool", "read_spool"]

_LOG = logging.getLogger("qnb.recorder")
_KINDS: dict[str, type[Any]] = {"metric": MetricPoint, "param": ParamSet, "tag": TagSet, "untag": TagDeleted}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class Spool:
    """The spool file of one run; it exists only while something is missing in the store.

    Parameters
    ----------
    folder : Path
        Where it is written; a temporary folder takes its place when that cannot be.
    run_id, uri : str
        The run and its store, told in the first line without password.
    """

    def __init__(self, folder: Path, *, run_id: str, uri: str) -> None:
        self._folder, self._uri = folder, masked(uri)
        self._run_id = checked_name("run", run_id, suffix="-000.ndjson", error=RecorderError)
        self._number = 0

    @property
    def path(self) -> Path:
        """The file."""
        tail = f"-{self._number}" if self._number else ""
        return self._folder / f"{self._run_id}{tail}.ndjson"

    def keep(self, entries: Sequence[Entry]) -> Path:
        """Make the file hold `entries`, all at once; without any, remove it."""
        if not entries:
            self.path.unlink(missing_ok=True)
            return self.path
        lines = [json.dumps({"run_id": self._run_id, "uri": self._uri})]
        lines += [json.dumps([_NAMES[type(e)], *_values(e)]) for e in entries]
        for make in (lambda: private_folder(self._folder), lambda: Path(tempfile.mkdtemp(prefix="qnb-unwritten-"))):
            try:
                self._folder = make()
                fresh = self.path.with_suffix(f".{os.getpid()}")
                fresh.touch(mode=0o600)
                fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
                os.replace(fresh, self.path)
                return self.path
            except OSError as error:
                reason = error
        _LOG.error("%d entries of run %s are lost: %s", len(entries), self._run_id, reason)
        return self.path

    def renew(self) -> None:
        """Leave the file for good; the next one gets a name of its own."""
        while self.path.exists():
            self._number += 1


def read_spool(path: Path) -> tuple[str, list[Entry]]:
    """Return the run's id and the entries of a spool file.

    Raises
    ------
    RecorderError
        When it is none.
    """
    try:
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        run_id = str(json.loads(head)["run_id"])
        return run_id, [_KINDS[kind](*values) for kind, *values in map(json.loads, lines)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecorderError(f"{path} is no spool file of a run: {error}") from error


def _values(entry: Entry) -> list[Any]:
    match entry:
        case MetricPoint(name, value, step, at):
            return [name, value, step, at]
        case ParamSet(name, value) | TagSet(name, value):
            return [name, value]
        case TagDeleted(name):
            return [name]
