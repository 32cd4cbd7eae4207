"""The data of a trial, prepared once a distinct key: kept in a worker, and across workers in the cache's pages."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..cache import digest
from ..config import Settings
from ..data.protocols import RowIndex, Sample
from ..data.provider import open_store
from ..data.spans import days_of
from ..errors import ConfigError, DataError, Problem, UnknownNameError
from ..events import Emit
from ..task.component import build_component
from ..task.spec import Task
from .days import DayTable
from .folds import Fold, label_reach, make_folds
from .spec import Validation

__all__ = ["Prepared", "PreparedData"]

DEFAULT_REACH = 5
"""Days that a label is taken to look ahead where its expression is not known."""


@dataclass(slots=True)
class Prepared:
    """A dataset that is loaded, with the rows that trials are compared on.

    Attributes
    ----------
    key : str
        Content address of the dataset, its segments and the data.
    dataset : object
        With the segments ``train`` and ``valid``.
    segment : str
        Segment that trials are compared on.
    table : DayTable
        Its rows and raw labels.
    span : str
        Its days, in words.
    quotes : dict
        Quotes of backtests, by span.
    """

    key: str
    dataset: Any
    segment: str
    table: DayTable
    span: str
    quotes: dict[str, Any] = field(default_factory=dict)
    _fit_rows: np.ndarray | None = None

    def fit_rows(self, find: Callable[[Prepared], np.ndarray]) -> np.ndarray:
        """Return what `find` gives, asked once: where the rows that a model validates on stand among those compared."""
        if self._fit_rows is None:
            self._fit_rows = find(self)
        return self._fit_rows


class PreparedData:
    """Gives the data of a task and fold.

    Parameters
    ----------
    settings : Settings
        Where market data and cache are.
    validation : Validation
        Which days trials are compared on.
    """

    def __init__(self, settings: Settings, validation: Validation) -> None:
        self._settings, self._validation = settings, validation
        self._kept: OrderedDict[str, Prepared] = OrderedDict()
        self._limit = validation.folds + 1

    def get(self, task: Task, fold: int, emit: Emit) -> tuple[Prepared, bool]:
        """Return the data of a fold, and whether it was there already.

        Raises
        ------
        ConfigError, DataError
            The dataset cannot be made, or a segment is empty.
        """
        settings = {k: v for k, v in self._settings.to_json().items() if k in ("provider_uri", "region", "custom_ops")}
        key = digest("study data", json.dumps([task.dataset, settings], sort_keys=True, default=str), fold)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found, True
        made = self._make(task, fold, key, emit)
        self._kept[key] = made
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return made, False

    def _make(self, task: Task, number: int, key: str, emit: Emit) -> Prepared:
        if self._validation.kind == "holdout":
            dataset = self._build(task, task.dataset)
            segment = self._validation.segment
            _load(dataset, emit)
        else:
            dataset, segment = self._fold(task, number, emit), "valid"
        index, label = _rows(dataset, segment)
        table = DayTable.of(index, label)
        span = f"{str(table.days[0])[:10]} to {str(table.days[-1])[:10]}"
        return Prepared(key, dataset, segment, table, span)

    def _fold(self, task: Task, number: int, emit: Emit) -> Any:
        """Return the dataset of a fold: its processors, too, are fitted on the fold's own days."""
        first = self._build(task, task.dataset)
        segments = first.segments
        calendar = open_store(self._settings).calendar
        region = days_of(calendar, segments["train"][0], segments["valid"][1])
        days = calendar[region]
        reach = _reach(first)
        folds = make_folds(
            self._validation.kind, len(days), self._validation.folds, reach=reach, embargo=self._validation.embargo
        )
        fold = folds[number]
        description = _with_fold(task.dataset, fold, days)
        dataset = self._build(task, description)
        _load(dataset, emit)
        return dataset if len(fold.train) == 1 else _SplitTraining(dataset, [_dates(days, s) for s in fold.train])

    def _build(self, task: Task, description: Any) -> Any:
        base = Path(task.base_dir) if task.base_dir else None
        return build_component(description, "dataset", inject={"settings": self._settings}, base_dir=base)


class _SplitTraining:
    """A dataset whose segment ``train`` consists of several spans, before and after the validation days."""

    def __init__(self, dataset: Any, spans: list[list[str]]) -> None:
        if type(dataset).__name__ != "DatasetH":
            message = f"purged k-fold learns from days on both sides, which {type(dataset).__name__} cannot"
            raise ConfigError([Problem(message, "use walk_forward", "study.cv")])
        self._dataset, self._spans = dataset, spans
        self.segments = dataset.segments

    def sample(self, segment: Any, *, data_key: Any = "infer") -> Sample:
        """Return a segment as arrays; those of ``train`` are gathered once."""
        if segment != "train":
            return self._dataset.sample(segment, data_key=data_key)
        parts = [self._dataset.sample(s, data_key=data_key) for s in self._spans]
        one = parts[0].index
        index = RowIndex(
            np.concatenate([p.index.dates for p in parts]), np.concatenate([p.index.codes for p in parts]),
            one.instruments,
        )  # fmt: skip
        x = np.concatenate([p.x for p in parts])
        y = np.concatenate([p.y for p in parts])
        return Sample(x, y, index, parts[0].feature_names, parts[0].label_names)

    def prepare(self, segments: Any, col_set: Any = "__all", data_key: Any = "infer", **fetch: Any) -> Any:
        """Return a segment as a frame."""
        if segments != "train":
            return self._dataset.prepare(segments, col_set=col_set, data_key=data_key, **fetch)
        import pandas as pd

        return pd.concat([self._dataset.prepare(s, col_set=col_set, data_key=data_key, **fetch) for s in self._spans])


def _load(dataset: Any, emit: Emit) -> None:
    setup = getattr(dataset, "setup_data", None)
    if setup is not None:
        setup()


def _rows(dataset: Any, segment: str) -> tuple[RowIndex, np.ndarray]:
    """Return the rows of a segment that are predicted, and their raw label."""
    sample = dataset.sample(segment, data_key="infer")
    try:
        raw = dataset.sample(segment, data_key="raw")
    except (DataError, UnknownNameError):  # raw data was dropped
        raw = sample
    if not raw.y.shape[1]:
        raise DataError(f"segment {segment!r} has no label to compare scores with; give the handler a label")
    label = raw.y[:, 0].astype(np.float64)
    same = len(raw.index) == len(sample.index) and np.array_equal(raw.index.codes, sample.index.codes)
    if same and np.array_equal(raw.index.dates, sample.index.dates):
        return sample.index, label
    import pandas as pd

    found = pd.Series(label, index=raw.index.to_pandas()).reindex(sample.index.to_pandas())
    return sample.index, found.to_numpy()


def _reach(dataset: Any) -> int:
    """Return how many days the dataset's labels look ahead."""
    fields = getattr(getattr(getattr(dataset, "handler", None), "data_loader", None), "fields", None)
    if not isinstance(fields, Mapping) or "label" not in fields:
        return DEFAULT_REACH
    return label_reach(fields["label"][0])


def _with_fold(description: Any, fold: Fold, days: np.ndarray) -> dict[str, Any]:
    """Return the description of a dataset with the segments, and the days that processors are fitted on, of a fold."""
    made = json.loads(json.dumps(description))
    kwargs = made["kwargs"]
    kwargs["segments"] = {"train": _dates(days, fold.longest), "valid": _dates(days, fold.valid)}
    first, last = _dates(days, fold.longest)

    def refit(value: Any) -> None:
        if isinstance(value, dict):
            if "fit_start_time" in value:
                value["fit_start_time"] = first
            if "fit_end_time" in value:
                value["fit_end_time"] = last
            for inner in value.values():
                refit(inner)
        elif isinstance(value, list):
            for inner in value:
                refit(inner)

    refit(kwargs.get("handler"))
    return made


def _dates(days: np.ndarray, span: tuple[int, int]) -> list[str]:
    return [str(days[span[0]])[:10], str(days[span[1]])[:10]]
