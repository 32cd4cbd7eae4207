"""Datasets: a handler's data cut into segments, as frames for people and as arrays for models."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..cache import digest
from ..config import Settings
from ..errors import ConfigError, EmptyDataError, Problem, UnknownNameError
from ..events import Emit
from ..task.component import build_component
from .handler import DataHandler, DataHandlerLP
from .protocols import DataKey, Sample
from .recipe import recipe_of
from .spans import bounds_of, rows_between, span_of, text_of
from .table import Table

__all__ = ["DatasetH"]


class DatasetH:
    """A handler's data in segments of time.

    Parameters
    ----------
    handler : handler or description
        Where the data comes from. It loads on first use.
    segments : mapping of str to pair of dates
        Name -> ``[start, end]``, both ends inclusive, null for no bound. ``train``, ``valid`` and ``test`` are what
        models ask for and must not overlap; any other name is allowed and may.
    fetch_kwargs : mapping, optional
        Further arguments of the handler's ``fetch`` when frames are prepared.
    handler_kwargs : mapping, optional
        Arguments of the handler's ``setup_data``.
    store, settings : optional
        Passed to a handler that is built here.

    Raises
    ------
    ConfigError
        All that is wrong with the segments: not a pair of dates, an end before its start, an overlap.
    """

    def __init__(
        self,
        handler: Any,
        segments: Mapping[str, Any],
        fetch_kwargs: Mapping[str, Any] | None = None,
        handler_kwargs: Mapping[str, Any] | None = None,
        *,
        store: Any = None,
        settings: Settings | None = None,
    ) -> None:
        inject = {k: v for k, v in (("store", store), ("settings", settings)) if v is not None}
        self.handler = build_component(handler, "handler", inject=inject)
        if not hasattr(self.handler, "fetch"):
            remedy = "give class: Alpha158, or an object with fetch()"
            raise ConfigError([Problem(f"{handler!r} is not a handler", remedy, "handler")])
        self.segments: dict[str, tuple[Any, Any]] = _segments(segments)
        self.fetch_kwargs = dict(fetch_kwargs or {})
        self.handler_kwargs = dict(handler_kwargs or {})

    def setup_data(self, handler_kwargs: Mapping[str, Any] | None = None, *, emit: Emit | None = None) -> None:
        """Load and process the data now, and check every segment against it.

        Parameters
        ----------
        handler_kwargs : mapping, optional
            Arguments of the handler's ``setup_data``, such as ``init_type``.
        emit : callable, optional
            Receives progress.

        Raises
        ------
        EmptyDataError
            A segment has no rows; all such segments are named.
        """
        arguments = {**self.handler_kwargs, **(handler_kwargs or {})}
        if isinstance(self.handler, DataHandler) and emit is not None:
            arguments["emit"] = emit
        if hasattr(self.handler, "setup_data"):
            self.handler.setup_data(**arguments)
        table = self._table("infer")
        empty = [n for n, s in self.segments.items() if _is_empty(rows_between(table.index, *s))]
        if empty:
            raise EmptyDataError(_outside(table, {n: self.segments[n] for n in empty}))

    def config(self, handler_kwargs: Mapping[str, Any] | None = None, **changes: Any) -> None:
        """Change the segments, or with `handler_kwargs` what the handler loads."""
        if "segments" in changes:
            self.segments = _segments(changes.pop("segments"))
        if changes:
            name = next(iter(changes))
            raise ConfigError([Problem(f"unknown dataset setting {name!r}", "valid: segments, handler_kwargs", name)])
        if handler_kwargs is not None:
            self.handler.config(**handler_kwargs)

    def prepare(
        self,
        segments: Any,
        col_set: str | Sequence[str] = DataHandler.CS_ALL,
        data_key: DataKey = "infer",
        **fetch: Any,
    ) -> Any:
        """Return the frame of a segment, or a list of frames for a list of segments.

        Parameters
        ----------
        segments : str, list of str, pair, slice or Index
            A segment's name or a list of names; else what the handler's ``fetch`` takes, such as a pair of dates.
        col_set : str or list of str
            ``"__all"``, ``"__raw"``, a column group or a list of groups; see `DataHandler.fetch`.
        data_key : str
            ``raw``, ``infer`` or ``learn``.
        fetch : any
            Further arguments of the handler's ``fetch``.

        Returns
        -------
        DataFrame or list of DataFrame
            Index (datetime, instrument), float32.

        Raises
        ------
        UnknownNameError
            No such column group or data key.
        EmptyDataError
            A named segment has no rows.
        """
        if isinstance(segments, str) and segments in self.segments:
            return self._prepared(segments, self.segments[segments], col_set, data_key, fetch)
        if isinstance(segments, list | tuple) and segments and all(self._is_segment(s) for s in segments):
            return [self._prepared(s, self.segments[s], col_set, data_key, fetch) for s in segments]
        if isinstance(segments, str):
            self._refuse_name(segments)
        return self._prepared("", segments, col_set, data_key, fetch)

    def frame(self, segment: str, col_set: str | Sequence[str] = "__all", data_key: DataKey = "infer") -> Any:
        """Return the rows of a named segment as a frame, also where `prepare` gives windows."""
        if not self._is_segment(segment):
            raise UnknownNameError("segment", segment, self.segments, hint=f"segments: {', '.join(self.segments)}")
        self._ensure()
        fetch = {k: v for k, v in self.fetch_kwargs.items() if k not in ("flt_col", "dtype")}  # those of windows
        return self.handler.fetch(self.segments[segment], col_set=col_set, data_key=data_key, **fetch)

    def sample(self, segment: Any, *, data_key: DataKey = "infer") -> Sample:
        """Return a segment as arrays for a model.

        Parameters
        ----------
        segment : str, pair of dates or slice
            A segment's name, or a span.
        data_key : str
            ``learn`` to fit, ``infer`` to predict, ``raw`` as loaded.

        Returns
        -------
        Sample
            Views of the prepared matrix where its rows are contiguous, else gathered once.

        Raises
        ------
        ConfigError
            The data has no column group ``feature``.
        EmptyDataError
            The segment has no rows, or with ``learn`` not a single label.
        """
        table = self._table(data_key)
        rows = self._rows(table, segment, data_key)
        x, y = _group(table, "feature"), table.group("label") if "label" in table.groups else None
        index = table.index.take(rows)
        labels = np.empty((len(index), 0), dtype=np.float32) if y is None else y.matrix(rows)
        return Sample(x.matrix(rows), labels, index, x.names, () if y is None else y.names)

    def weights(self, segment: Any, reweighter: Any = None, *, data_key: DataKey = "learn") -> np.ndarray | None:
        """Return a weight for each row of `sample(segment)`, or None if all rows count alike.

        See `qnb.data.reweighter.weights_of`.
        """
        from .reweighter import weights_of

        return weights_of(self, segment, reweighter, data_key=data_key)

    @property
    def fingerprint(self) -> str:
        """Content address of the data and the segments; loads the data."""
        if isinstance(self.handler, DataHandler):
            data = self.handler.fingerprint
        else:
            from .pipeline import content_address

            data = content_address(self._table("infer"))
        return digest("dataset", data, {k: text_of(v) for k, v in self.segments.items()})

    def to_config(self) -> dict[str, Any]:
        """Return the description that builds this dataset anew: ``class``, ``module_path``, ``kwargs``, JSON values.

        Raises
        ------
        ConfigError
            A part was given as an object whose arguments cannot be read back.
        """
        return recipe_of(self)

    def save(self, path: Path | str) -> None:
        """Write the description and what the processors learned as JSON, to predict on new data later."""
        state = self.handler.state if isinstance(self.handler, DataHandlerLP) else []
        text = json.dumps({"qnb": 1, "dataset": self.to_config(), "state": state}, indent=1)
        folder = Path(path).expanduser().absolute().parent
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".part", delete=False, encoding="utf-8") as out:
            out.write(text)
        os.replace(out.name, Path(path).expanduser())

    @classmethod
    def load(
        cls,
        path: Path | str,
        *,
        handler_kwargs: Mapping[str, Any] | None = None,
        segments: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the dataset that `save` wrote; its processors keep what they learned.

        Parameters
        ----------
        handler_kwargs : mapping, optional
            What the handler loads instead: ``instruments``, ``start_time``, ``end_time``.
        segments : mapping, optional
            Other segments.
        """
        content = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
        dataset = build_component(content["dataset"], "dataset")
        if content["state"]:
            dataset.handler.state = content["state"]
            dataset.handler_kwargs["init_type"] = DataHandlerLP.IT_LS
        if segments is not None:
            dataset.config(segments=segments)
        if handler_kwargs is not None:
            dataset.config(handler_kwargs=handler_kwargs)
        return dataset

    def __repr__(self) -> str:
        spans = ", ".join(f"{n}: {text_of(s)}" for n, s in self.segments.items())
        return f"{type(self).__name__}({type(self.handler).__name__}, {spans})"

    def _is_segment(self, name: Any) -> bool:
        return isinstance(name, str) and name in self.segments

    def _refuse_name(self, name: str) -> None:
        """Raise for a text that is neither a segment nor a date."""
        if not any(c.isdigit() for c in name):
            raise UnknownNameError("segment", name, self.segments, hint=f"segments: {', '.join(self.segments)}")

    def _prepared(self, name: str, span: Any, col_set: Any, data_key: DataKey, fetch: Mapping[str, Any]) -> Any:
        self._ensure()
        frame = self.handler.fetch(span, col_set=col_set, data_key=data_key, **{**self.fetch_kwargs, **fetch})
        if name and not len(frame):
            raise EmptyDataError(_outside(self._table(data_key), {name: self.segments[name]}))
        return frame

    def _ensure(self) -> None:
        if isinstance(self.handler, DataHandler) and not self.handler.is_ready:
            self.handler.setup_data(**self.handler_kwargs)

    def _table(self, data_key: DataKey) -> Table:
        self._ensure()
        if isinstance(self.handler, DataHandler):
            return self.handler.table(data_key)
        from .frames import table_of

        return table_of(self.handler.fetch(slice(None), col_set="__raw", data_key=data_key))

    def _rows(self, table: Table, segment: Any, data_key: DataKey) -> slice:
        if isinstance(segment, str):
            if segment not in self.segments:
                raise UnknownNameError("segment", segment, self.segments, hint=f"segments: {', '.join(self.segments)}")
            span = self.segments[segment]
        else:
            span = span_of(segment, "segment")
        rows = rows_between(table.index, *span)
        if _is_empty(rows):
            raise EmptyDataError(_outside(table, {str(segment): span}))
        if data_key == "learn" and "label" in table.groups:
            label = table.group("label")
            if np.isnan(label.matrix(rows)).all():
                names = ", ".join(label.names)
                raise EmptyDataError(
                    f"label {names} is NaN in all {rows.stop - rows.start} rows of segment {segment!r}; check that its "
                    "fields exist in the data and that the span reaches past the days it looks ahead"
                )
        return rows


def _segments(given: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    if not isinstance(given, Mapping) or not given:
        remedy = "write segments: {train: [start, end], valid: [start, end], test: [start, end]}"
        raise ConfigError([Problem(f"segments must map names to pairs of dates, received {given!r}", remedy)])
    found: dict[str, tuple[Any, Any]] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        try:
            found[str(name)] = span_of(value, f"segments.{name}")
        except ConfigError as error:
            problems += error.problems
    problems += _overlaps(found)
    if problems:
        raise ConfigError(problems)
    return found


def _overlaps(segments: Mapping[str, tuple[Any, Any]]) -> list[Problem]:
    bounds = []
    for name in ("train", "valid", "test"):
        if name in segments:
            bounds.append((*bounds_of(segments[name]), name))
    bounds.sort()
    problems = []
    for (_, end, before), (start, _, after) in pairwise(bounds):
        if start <= end:
            message = (
                f"segments {before!r} ({text_of(segments[before])}) and {after!r} ({text_of(segments[after])}) overlap"
            )
            problems.append(Problem(message, f"end {before!r} before {after!r} starts", f"segments.{after}"))
    return problems


def _outside(table: Table, segments: Mapping[str, tuple[Any, Any]]) -> str:
    index = table.index
    have = f"the data has {text_of((index.dates[0], index.dates[-1]))}" if len(index) else "the data has no rows"
    names = ", ".join(f"{n!r} ({text_of(s)})" for n, s in segments.items())
    return f"segment {names} has no rows; {have}; change the segment or the handler's start_time and end_time"


def _is_empty(rows: slice) -> bool:
    return rows.start >= rows.stop


def _group(table: Table, name: str) -> Any:
    if name not in table.groups:
        have = ", ".join(g for g in table.groups if g) or "one level of columns without groups"
        remedy = f"name the fields' group in the data loader's config: {{{name}: [...], label: [...]}}"
        raise ConfigError([Problem(f"a model needs the column group {name!r}; the data has {have}", remedy)])
    return table.group(name)
