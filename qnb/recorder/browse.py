"""Pages of runs for a browser: find, sort, count, and the few changes that are made there.

An SQLite store answers from its indexes: the ids of all runs that fit, then the facts of one page. Any other store is
asked through its search, and words are looked for in what it returned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import RecorderError, UnknownNameError
from .base import ExperimentInfo, RefusedError, RunInfo, Store, TagDeleted, TagSet
from .filters import Condition, SortKey, parse_filter
from .names import legal_name
from .query import existing_store
from .search import ID_START, SAYING
from .sqlite import SqliteStore

__all__ = ["RunIndex", "RunPage", "RunQuery", "read_query"]

SCANNED = 2000
"""Runs of a store without an index of ours that a word is looked for in."""

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
    """

    text: str = ""
    experiment: str = ""
    sort: SortKey | None = None
    offset: int = 0
    limit: int = 100


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of runs; `matching` fit the query, `total` are there without a filter."""

    runs: tuple[RunInfo, ...]
    matching: int
    total: int


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
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def experiments(self) -> list[ExperimentInfo]:
        """Return all experiments, oldest first; none without a store."""
        store = existing_store(self.uri)
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
        store = existing_store(self.uri)
        if store is None:
            return RunPage((), 0, 0)
        names = {e.id: e.name for e in store.experiments()}
        ids = [i for i, name in names.items() if not query.experiment or name == query.experiment]
        if query.experiment and not ids:
            raise UnknownNameError("experiment", query.experiment, names.values())
        if isinstance(store, SqliteStore):
            fitting = store.select(ids, conditions, [query.sort] if query.sort else [], words=words)
            runs = store.runs(fitting[query.offset : query.offset + query.limit])
            matching, total = len(fitting), store.count(list(names))
        else:
            runs, matching, total = _searched(store, names, ids, query, words)
        return RunPage(tuple(replace(r, experiment=names.get(r.experiment_id, "")) for r in runs), matching, total)

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
        store = existing_store(self.uri)
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
        return existing_store(self.uri)

    def _store(self) -> Store:
        store = existing_store(self.uri)
        if store is None:
            raise RecorderError("there are no runs yet; run a %%qtask cell first")
        return store


def _own_tag(key: str) -> str:
    name = legal_name("tag", key.strip()) if key.strip() else ""
    if not name or name.startswith(("mlflow.", "qnb.")):
        raise RefusedError(f"tag {key!r} belongs to MLflow or qnb; choose another name")
    return name


def _searched(
    store: Store, names: Mapping[str, str], ids: Sequence[str], query: RunQuery, words: Sequence[str]
) -> tuple[list[RunInfo], int, int]:
    """Page through a store that only offers MLflow's search; counts end at `SCANNED`."""
    order = _order_text(query.sort)
    most = max(SCANNED, query.offset + query.limit)
    found = store.search(ids, filter_string="" if words else query.text, max_results=most, order_by=order)
    if words:
        found = [r for r in found if all(_says(r, names, w.lower()) for w in words)]
    if query.sort is not None and query.sort.key == "seconds" and query.sort.kind == "attribute":
        found.sort(key=lambda r: r.seconds or -1.0, reverse=query.sort.descending)
    total = len(found) if not query.text and not query.experiment else len(store.search(list(names), max_results=most))
    return found[query.offset : query.offset + query.limit], len(found), total


def _order_text(sort: SortKey | None) -> tuple[str, ...]:
    if sort is None or (sort.kind, sort.key) == ("attribute", "seconds"):
        return ()
    return (f"{sort.kind}s.`{sort.key}` {'DESC' if sort.descending else 'ASC'}",)


def _says(run: RunInfo, names: Mapping[str, str], word: str) -> bool:
    tags = [t for k, v in run.tags.items() if not k.startswith("mlflow.") for t in (k, v)]
    params = [run.params.get(k, "") for k in SAYING]
    texts = [run.name, names.get(run.experiment_id, ""), *tags, *params]
    return (len(word) >= ID_START and run.run_id.startswith(word)) or any(word in t.lower() for t in texts)
