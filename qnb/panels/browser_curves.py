"""The small excess curve of a run in the list: read from its backtest, thinned to a hundred pixels."""

from __future__ import annotations

import numpy as np

from ..recorder.base import Store

__all__ = ["excess_curve"]

REPORT = "portfolio_analysis/report_normal_1day.parquet"
_COLUMNS = ("return", "cost", "bench")


def excess_curve(store: Store, run_id: str, *, points: int) -> list[float]:
    """Return the summed excess return after cost at `points` days; empty without a backtest on this machine.

    Only three columns of the artifact are read, so a list of a hundred runs has its curves in a moment.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ..errors import RecorderError

    try:
        folder = store.local_dir(run_id)
    except RecorderError:
        return []
    if folder is None or not (folder / REPORT).is_file():
        return []
    try:
        table = pq.read_table(folder / REPORT, columns=list(_COLUMNS))
        gain, cost, bench = (table.column(c).to_numpy(zero_copy_only=False).astype(np.float64) for c in _COLUMNS)
    except (OSError, pa.ArrowException, ValueError):
        return []
    daily = gain - cost - np.where(np.isfinite(bench), bench, 0.0)
    total = np.cumsum(np.where(np.isfinite(daily), daily, 0.0))
    if not len(total):
        return []
    at = np.unique(np.linspace(0, len(total) - 1, points).round().astype(np.int64))
    return [round(v, 4) for v in total[at].tolist()]
