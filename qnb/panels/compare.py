"""Compares two to eight runs: what differs in configuration and metrics, and whether the difference means anything.

1. Load of each run what there is: params and metrics, daily returns of its backtest, predictions with labels.
2. Put all on common days.
3. Measure: differing keys, metrics with the best marked, correlation of predictions, t of the daily difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, RecorderError
from ..metrics.rows import row_correlation
from ..recorder import R, Recorder
from ..recorder.base import RunInfo, Store
from .measures import HEADLINE, measure_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MOST_RUNS",
    "Comparison",
    "ConfigRow",
    "MetricRow",
    "RunPart",
    "compare_parts",
    "config_rows",
    "load_part",
    "metric_rows",
]

MOST_RUNS = 8
PERIODS = 238
_NOISE = ("cmd-sys.argv", "QNB_")
_FIRST = ("IC", "ICIR", "Rank IC", "Rank ICIR", *HEADLINE[2:], "turnover", "cost", "seconds")


@dataclass(frozen=True, slots=True)
class RunPart:
    """What a comparison knows of one run.

    Attributes
    ----------
    run : RunInfo
        From the store.
    label : str
        Its name; with the start of its id where another run has the same name.
    params : mapping of str to str
        Configuration, in full length.
    metrics : mapping of str to float
        Last values, ``seconds``, and from the backtest ``turnover`` (a day) and ``cost`` (a year).
    returns : Series or None
        Excess return after cost by day (without a benchmark: the return); None without a backtest.
    scores, ic : DataFrame (days, instruments), Series, or None
        Predictions, and the information coefficient by day.
    """

    run: RunInfo
    label: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    returns: pd.Series | None = None
    scores: pd.DataFrame | None = None
    ic: pd.Series | None = None


@dataclass(frozen=True, slots=True)
class ConfigRow:
    """A key whose value differs; ``None`` where a run does not have it."""

    group: str
    key: str
    values: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A metric of all runs; `best` is the position of the best, None where that makes no sense or all are equal."""

    key: str
    values: tuple[float | None, ...]
    best: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """A finished comparison.

    Attributes
    ----------
    parts : tuple of RunPart
        In the order in which they were asked for.
    config : tuple of ConfigRow
        Keys that differ.
    config_keys : int
        How many keys there are in all.
    metrics : tuple of MetricRow
    returns, ic : DataFrame or None
        Excess return and information coefficient by day (rows) and run (columns); NaN where a run has no value.
    correlation : ndarray of shape (runs, runs) or None
        Mean over days of the correlation of predictions; NaN for runs without.
    correlation_days : int
        Days on which the first two runs with predictions can be compared.
    verdict : tuple of str
        Sentences that say whether the difference means anything.
    """

    parts: tuple[RunPart, ...]
    config: tuple[ConfigRow, ...]
    config_keys: int
    metrics: tuple[MetricRow, ...]
    returns: pd.DataFrame | None = None
    ic: pd.DataFrame | None = None
    correlation: np.ndarray | None = None
    correlation_days: int = 0
    verdict: tuple[str, ...] = field(default=())

    def _repr_html_(self) -> str:
        from .compare_static import comparison_html

        return comparison_html(self)

    def __repr__(self) -> str:
        from .compare_static import comparison_text

        return comparison_text(self)


def labels_of(runs: Sequence[RunInfo]) -> list[str]:
    """Return a name for each run, unlike those of the others."""
    many = Counter(r.name for r in runs)
    return [r.name if many[r.name] == 1 else f"{r.name} {r.shown_id[:6]}" for r in runs]


def load_part(store: Store, run: RunInfo, label: str, *, deep: bool = True) -> RunPart:
    """Load what a comparison needs of a run; what is missing or cannot be read stays None.

    Parameters
    ----------
    deep : bool
        Also returns and predictions; without it only what the store's tables say.
    """
    recorder = Recorder(store, run, R.settings)
    metrics = dict(run.metrics)
    if run.seconds is not None:
        metrics["seconds"] = run.seconds
    if not deep:
        return RunPart(run, label, run.params, metrics)
    params = recorder.list_params()
    report = _object(recorder, "portfolio_analysis/report_normal_1day.pkl")
    pred, known = _object(recorder, "pred.pkl"), _object(recorder, "label.pkl")
    returns = None if report is None else _excess(report)
    if report is not None:
        for name, factor in (("turnover", 1.0), ("cost", float(PERIODS))):
            if name in report:
                metrics[name] = float(np.nanmean(report[name].to_numpy(dtype=np.float64))) * factor
    scores = _matrix(pred)
    return RunPart(run, label, params, metrics, returns, scores, _ic(scores, _matrix(known)))


def compare_parts(parts: Sequence[RunPart]) -> Comparison:
    """Compare runs.

    Raises
    ------
    ConfigError
        For fewer than two or more than `MOST_RUNS`.
    """
    if not 2 <= len(parts) <= MOST_RUNS:
        raise ConfigError(f"two to {MOST_RUNS} runs can be compared, received {len(parts)}; select others")
    import pandas as pd

    from .verdict import verdict_of

    def frame(name: str) -> pd.DataFrame | None:
        columns = [getattr(p, name) for p in parts]
        if all(c is None for c in columns):
            return None
        empty = pd.Series(dtype=np.float64)
        kept = {n: empty if c is None else c for n, c in enumerate(columns)}
        return pd.DataFrame(kept).sort_index()

    config, keys = config_rows(parts)
    returns, ic = frame("returns"), frame("ic")
    correlation, days = _correlations(parts)
    return Comparison(
        tuple(parts), config, keys, metric_rows(parts), returns, ic, correlation, days,
        verdict_of([p.label for p in parts], returns, ic, correlation, days),
    )  # fmt: skip


def config_rows(parts: Sequence[RunPart]) -> tuple[tuple[ConfigRow, ...], int]:
    """Return the keys that differ, in the order of the first run that has them, and how many keys there are."""
    keys = dict.fromkeys(k for p in parts for k in p.params if not k.startswith(_NOISE))
    rows = []
    for key in keys:
        values = tuple(p.params.get(key) for p in parts)
        if len(set(values)) > 1:
            group, _, name = key.rpartition(".")
            rows.append(ConfigRow(group, name, values))
    order = {group: n for n, group in enumerate(dict.fromkeys(r.group for r in rows))}
    return tuple(sorted(rows, key=lambda r: order[r.group])), len(keys)


def metric_rows(parts: Sequence[RunPart]) -> tuple[MetricRow, ...]:
    """Return all metrics, the well-known ones first, the best of each marked."""
    there = dict.fromkeys(k for p in parts for k in p.metrics)
    first = [k for k in _FIRST if k in there]
    rows = []
    for key in [*first, *(k for k in there if k not in first)]:
        values = tuple(_finite(p.metrics.get(key)) for p in parts)
        if any(v is not None for v in values):
            rows.append(MetricRow(key, values, _best(key, values)))
    return tuple(rows)


def _best(key: str, values: Sequence[float | None]) -> int | None:
    """Return the position of the best as it is written, None where two are equal or only one is known."""
    measure = measure_of(key)
    known = [(v * measure.better, n) for n, v in enumerate(values) if v is not None]
    if not measure.better or len(known) < 2:
        return None
    known.sort(reverse=True)
    texts = [measure.write(values[n]) for _, n in known]
    return None if texts[0] == texts[1] else known[0][1]


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def _object(recorder: Recorder, name: str) -> Any:
    try:
        found = recorder.load_object(name)
    except RecorderError:
        return None
    return found if hasattr(found, "columns") and len(found) else None


def _excess(report: pd.DataFrame) -> pd.Series | None:
    from ..reports.material import returns_of

    if "return" not in report:
        return None
    import pandas as pd

    found = returns_of(report)
    return pd.Series(found.main, index=pd.DatetimeIndex(found.dates))


def _matrix(frame: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return predictions or labels as days by instruments."""
    if frame is None or frame.index.nlevels != 2:
        return None
    series = frame.iloc[:, 0]
    series.index = series.index.set_names(["datetime", "instrument"])
    return series[~series.index.duplicated()].unstack("instrument").sort_index().astype(np.float64)


def _ic(scores: pd.DataFrame | None, labels: pd.DataFrame | None) -> pd.Series | None:
    if scores is None or labels is None:
        return None
    import pandas as pd

    aligned = labels.reindex(index=scores.index, columns=scores.columns)
    return pd.Series(row_correlation(scores.to_numpy(), aligned.to_numpy()), index=scores.index)


def _correlations(parts: Sequence[RunPart]) -> tuple[np.ndarray | None, int]:
    count = len(parts)
    found = np.full((count, count), np.nan)
    days = 0
    for i in range(count):
        for j in range(i + 1, count):
            a, b = parts[i].scores, parts[j].scores
            if a is None or b is None:
                continue
            rows, columns = a.index.intersection(b.index), a.columns.intersection(b.columns)
            left, right = a.reindex(index=rows, columns=columns), b.reindex(index=rows, columns=columns)
            daily = row_correlation(left.to_numpy(), right.to_numpy())
            known = np.isfinite(daily)
            if known.any():
                found[i, j] = found[j, i] = float(daily[known].mean())
                days = days or int(known.sum())
    np.fill_diagonal(found, [1.0 if p.scores is not None else np.nan for p in parts])
    return (found, days) if days else (None, 0)
