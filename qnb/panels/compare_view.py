"""From a comparison to what the browser draws: finished texts, thinned lines, no markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..reports import numbers
from .compare import Comparison, ConfigRow, MetricRow, RunPart
from .measures import measure_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["comparison_view", "figure_of", "tables_view"]

WINDOW = 60
POINTS = 700
LONG = 160


def tables_view(
    parts: Sequence[RunPart], config: Sequence[ConfigRow], keys: int, metrics: Sequence[MetricRow]
) -> dict[str, Any]:
    """Return names, configuration and metrics as JSON values."""
    return {
        "runs": [{"id": p.run.run_id, "label": p.label} for p in parts],
        "config": [
            {"group": r.group, "key": r.key, "values": [_text(v) for v in r.values], "changed": _changed(r.values)}
            for r in config
        ],
        "config_keys": keys,
        "metrics": [_metric(r) for r in metrics],
    }


def comparison_view(found: Comparison) -> dict[str, Any]:
    """Return the whole comparison as JSON values."""
    labels = [p.label for p in found.parts]
    figures = []
    if found.returns is not None:
        total, depth = found.returns.cumsum(), found.returns.fillna(0.0).cumsum()
        depth = (depth - depth.cummax().clip(lower=0.0)).where(found.returns.notna())
        note = "daily returns summed"
        figures.append(figure_of("Excess return, after cost", note, total, labels, "percent"))
        figures.append(figure_of("Drawdown of the excess return", note, depth, labels, "percent", height=120))
    if found.ic is not None:
        window = max(1, min(WINDOW, len(found.ic) // 2))
        smooth = found.ic.rolling(window, min_periods=max(1, window // 2)).mean().where(found.ic.notna())
        figures.append(figure_of("IC", f"mean of {window} days", smooth, labels, "ic", height=150))
    return {
        **tables_view(found.parts, found.config, found.config_keys, found.metrics),
        "figures": [f for f in figures if f["lines"]],
        "correlation": None if found.correlation is None else _matrix(found.correlation),
        "verdict": list(found.verdict),
    }


def figure_of(
    title: str, note: str, frame: pd.DataFrame, labels: Sequence[str], unit: str, *, height: int = 220
) -> dict[str, Any]:
    """Return lines by day, thinned to what a screen shows; `frame` has a column a run, NaN where missing.

    Parameters
    ----------
    unit : {'percent', 'ic'}
        How values are written.
    """
    from ..reports.thin import thin

    table = frame.to_numpy(dtype=np.float64)
    shown = [n for n in range(table.shape[1]) if np.isfinite(table[:, n]).any()]
    kept = thin([table[:, n] for n in shown], points=POINTS) if shown else np.arange(0)
    days = frame.index.to_numpy().astype("datetime64[D]").astype(str)[kept].tolist()
    write = numbers.percent if unit == "percent" else numbers.ic
    lines, said = [], []
    for n in shown:
        values = table[:, n]
        last = write(float(values[np.isfinite(values)][-1]))
        low, high = write(float(np.nanmin(values))), write(float(np.nanmax(values)))
        points = [round(float(v), 6) if np.isfinite(v) else None for v in values[kept]]
        lines.append({"series": n, "name": labels[n], "last": last, "values": points})
        said.append(f"{labels[n]}: last {last}, from {low} to {high}")
    return {
        "title": title, "note": note, "unit": unit, "height": height, "days": days, "lines": lines,
        "aria": f"{title}. {'; '.join(said)}.",
    }  # fmt: skip


def _metric(row: MetricRow) -> dict[str, Any]:
    measure = measure_of(row.key)
    a, b = row.values[0], row.values[-1]
    difference = ""
    if len(row.values) == 2:
        difference = measure.differ(b - a) if a is not None and b is not None else numbers.MISSING
    return {
        "title": measure.title, "key": row.key, "values": [measure.write(v) for v in row.values], "best": row.best,
        "difference": difference,
    }  # fmt: skip


def _matrix(values: np.ndarray) -> list[list[str]]:
    return [[numbers.decimal(v, 3) for v in row] for row in values.tolist()]


def _text(value: str | None) -> str:
    if value is None:
        return numbers.MISSING
    return value if len(value) <= LONG else value[:LONG] + "…"


def _changed(values: Sequence[str | None]) -> list[bool]:
    """Return for each run whether its value differs from the first one's."""
    return [v != values[0] for v in values]
