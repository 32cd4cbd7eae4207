"""Pages of runs for a browser: find, sort, count, and the few changes that are made there.

An SQLite store answers from its indexes: the ids of all runs that fit, then the facts of one page. Any other store is
asked through MLflow's search, a thousand runs at a time and only as far as needed: it has no count, and no words, which
are looked for in what it returned. What has not been looked through is said, see `RunPage.searched`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

from ..errors import RecorderError, UnknownNameError
from .base import ExperimentInfo, RefusedError, RunInfo, Store, TagDeleted, TagSet
from .filters import Condition, SortKey, parse_filter
from .names import legal_name
from .query import existing_store
from .search import ID_START, SAYING
from .sqlite import SqliteStore

__all__ = ["SCANNED", "RunIndex", "RunPage", "RunQuery", "read_query"]

SCANNED = 2000
"""Runs of a store without an index of ours that a word is looked for in, unless the query says to go deeper."""

_GRAMMAR = re.compile(r"[=<>]|\s(?:I?LIKE|IN|IS)\s|^\s*(?i:metric|param|parameter|tag|attribute|attr|run)s?\.")


@dataclass(frozen=True, slots=True)
class RunQuery:
    """What a browser asks for.

    Attributes
    ----------
    text : str
        MLflow's filter grammar, or words that must all occur in name, experiment, tags, model or handler; six
        letters or more may also begin the run's id.
    experiment : str
        Name of the only experiment; '' for all.
    sort : SortKey or None
        None is newest first.
    offset, limit : int
        Which of the runs that fit.
    depth : int
        Of a store without an index, how many of the newest runs words are looked for in.
    """

    text: str = ""
    experiment: str = ""
    sort: SortKey | None = None
    offset: int = 0
    limit: int = 100
    depth: int = SCANNED


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of runs.

    Attributes
    ----------
    runs : tuple of RunInfo
        The page.
    matching, total : int
        How many fit the query, how many are there without a filter; of a store that was not looked through, as many
        as are known.
    searched : int
        How many runs were looked through when there are more; 0 when all were.
    """

    runs: tuple[RunInfo, ...]
    matching: int
    total: int
    searched: int = 0


def read_query(text: str) -> tuple[list[Condition], list[str]]:
    """Return the conditions that `text` states, or the words it consists of.

    Raises
    ------
    RefusedError
        For a condition that cannot be read.

    Examples
    --------
    >>> read_query("lgb alpha")
    ([], ['lgb', 'alpha'])
    >>> read_query("metrics.IC > 0.04")[0][0].key
    'IC'
    """
    return (parse_filter(text), []) if _GRAMMAR.search(text) else ([], text.split())


class RunIndex:
    """The runs of a tracking store; makes no store that is not there.

    Parameters
    ----------
    uri : str
        Tracking URI.
    work_dir : Path, optional
        As in `qnb.recorder.stores.open_store`.
    """

    def __init__(self, uri: str, *, work_dir: Path | None = None) -> None:
        self.uri, self._work_dir = uri, work_dir
        self._scan: _Scan | None = None
        self._total = 0

    def experiments(self) -> list[ExperimentInfo]:
        """Return all experiments, oldest first; none without a store."""
        store = existing_store(self.uri, work_dir=self._work_dir)
        return [] if store is None else store.experiments()

    def page(self, query: RunQuery) -> RunPage:
        """Return a page of runs.

        Raises
        ------
        UnknownNameError
            There is no experiment of that name.
        RecorderError
            The store cannot be read, or the filter.
        """
        conditions, words = read_query(query.text)
        store = existing_store(self.uri, work_dir=self._work_dir)
        if store is None:
            return RunPage((), 0, 0)
        names = {e.id: e.name for e in store.experiments()}
        ids = [i for i, name in names.items() if not query.experiment or name == query.experiment]
        if query.experiment and not ids:
            raise UnknownNameError("experiment", query.experiment, names.values())
        if isinstance(store, SqliteStore):
            fitting = store.select(ids, conditions, [query.sort] if query.sort else [], words=words)
            runs = store.runs(fitting[query.offset : query.offset + query.limit])
            page = RunPage(tuple(runs), len(fitting), store.count(list(names)))
        else:
            page = self._searched(cast("_Paged", store), names, ids, query, words)
        named = tuple(replace(r, experiment=names.get(r.experiment_id, "")) for r in page.runs)
        return replace(page, runs=named)

    def run(self, run_id: str) -> RunInfo:
        """Return a run with the name of its experiment.

        Raises
        ------
        RefusedError
            When it is not there.
        """
        store = self._store()
        run = store.run(run_id)
        experiment = store.experiment(id=run.experiment_id)
        return replace(run, experiment=experiment.name if experiment else "")

    def keys(self) -> Mapping[str, Sequence[str]]:
        """Return the names of ``metrics``, ``params`` and ``tags`` that can be shown as columns."""
        store = existing_store(self.uri, work_dir=self._work_dir)
        if isinstance(store, SqliteStore):
            return store.keys()
        runs = self.page(RunQuery()).runs
        return {kind: sorted({k for r in runs for k in getattr(r, kind)}) for kind in ("metrics", "params", "tags")}

    def rename(self, run_id: str, name: str) -> None:
        """Give a run another name."""
        if not name.strip():
            raise RefusedError("a run needs a name; nothing was changed")
        self._store().update_run(run_id, name=name.strip())

    def tag(self, run_id: str, key: str, value: str = "") -> None:
        """Set a tag; MLflow's own tags are refused."""
        self._store().log(run_id, [TagSet(_own_tag(key), value)])

    def untag(self, run_id: str, key: str) -> None:
        """Remove a tag; one that is not there is no error."""
        self._store().log(run_id, [TagDeleted(_own_tag(key))])

    def delete(self, run_id: str) -> None:
        """Mark a run as deleted; its files stay until ``mlflow gc``, and until then MLflow can restore it."""
        self._store().delete_run(run_id)

    def store(self) -> Store | None:
        """Return the store, None where none is there."""
        return existing_store(self.uri, work_dir=self._work_dir)

    def _searched(
        self, store: _Paged, names: Mapping[str, str], ids: Sequence[str], query: RunQuery, words: Sequence[str]
    ) -> RunPage:
        """Return a page of a store that only offers MLflow's search; a following page goes on where it stopped."""
        by_seconds = query.sort is not None and (query.sort.kind, query.sort.key) == ("attribute", "seconds")
        key = (tuple(ids), query.text, query.sort)
        if query.offset == 0 or self._scan is None or self._scan.key != key:
            text = "" if words else query.text
            self._scan = _Scan(key, store.search_pages(ids, filter_string=text, order_by=_order_text(query.sort)))
        scan = self._scan
        scan.read(query.depth if words or by_seconds else query.offset + query.limit)
        found = [r for r in scan.runs if all(_says(r, names, w.lower()) for w in words)]
        if query.sort is not None and by_seconds:
            found.sort(key=lambda r: r.seconds or -1.0, reverse=query.sort.descending)
        if not query.text and not query.experiment:
            self._total = len(scan.runs)
        runs = tuple(found[query.offset : query.offset + query.limit])
        total = max(self._total, len(scan.runs) if words and not query.experiment else len(found))
        return RunPage(runs, len(found), total, 0 if scan.ended else len(scan.runs))

    def _store(self) -> Store:
        store = existing_store(self.uri, work_dir=self._work_dir)
        if store is None:
            raise RecorderError("there are no runs yet; run a %%qtask cell first")
        return store


def _own_tag(key: str) -> str:
    name = legal_name("tag", key.strip()) if key.strip() else ""
    if not name or name.startswith(("mlflow.", "qnb.")):
        raise RefusedError(f"tag {key!r} belongs to MLflow or qnb; choose another name")
    return name


class _Paged(Protocol):
    """A store that gives its runs page by page."""

    def search_pages(
        self, experiment_ids: Sequence[str], *, filter_string: str = "", order_by: Sequence[str] = ()
    ) -> Iterator[list[RunInfo]]:
        """Yield the runs that fit and are not deleted, newest first unless ordered."""


class _Scan:
    """What was read of the pages of a search."""

    def __init__(self, key: object, pages: Iterator[list[RunInfo]]) -> None:
        self.key = key
        self.runs: list[RunInfo] = []
        self.ended = False
        self._pages = pages

    def read(self, wanted: int) -> None:
        """Read on until `wanted` runs and one more are there, or all."""
        while not self.ended and len(self.runs) <= wanted:
            page = next(self._pages, None)
            self.ended = page is None
            known = {r.run_id for r in self.runs}  # new runs move the others to the following page
            self.runs += [r for r in page or () if r.run_id not in known]


def _order_text(sort: SortKey | None) -> tuple[str, ...]:
    if sort is None or (sort.kind, sort.key) == ("attribute", "seconds"):
        return ()
    return (f"{sort.kind}s.`{sort.key}` {'DESC' if sort.descending else 'ASC'}",)


def _says(run: RunInfo, names: Mapping[str, str], word: str) -> bool:
    tags = [t for k, v in run.tags.items() if not k.startswith("mlflow.") for t in (k, v)]
    params = [run.params.get(k, "") for k in SAYING]
    texts = [run.name, names.get(run.experiment_id, ""), *tags, *params]
    return (len(word) >= ID_START and run.run_id.startswith(word)) or any(word in t.lower() for t in texts)
