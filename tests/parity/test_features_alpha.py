"""Alpha158 and Alpha360 against the peer's own values on real data.

Accepted: equal NaN masks and |difference| <= 1e-5 * max(1e-3, |value|), except cells whose window has an exact standard
deviation of 0, where the peer keeps rounding residue.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from qnb.cache import Cache
from qnb.data.feature_sets import alpha158, alpha360
from qnb.data.providers.qlib_bin import QlibBinStore
from qnb.data.universe import Universe, rows_for
from qnb.expr.evaluate import evaluate

SPAN = {"start": "2008-01-01", "end": "2020-08-01"}


@pytest.mark.parametrize(
    ("module", "file", "exact"),
    [(alpha158, "alpha158_raw_24.parquet", 0.998), (alpha360, "alpha360_raw_4.parquet", 1.0)],
)
def test_every_cell_is_the_peers(
    cn_data: Path, golden: Path, module: ModuleType, file: str, exact: float, tmp_path: Path
) -> None:
    expected = pd.read_parquet(golden / file).sort_index()
    expressions, names = (a + b for a, b in zip(module.fields(), module.label(), strict=True))
    store = QlibBinStore(cn_data)
    symbols = set(expected.index.get_level_values("instrument"))
    members = store.universe("csi300")
    sample = Universe("sample", {s: spans for s, spans in members.spans.items() if s in symbols})
    rows = rows_for(sample, store, **SPAN)
    found = evaluate(expressions, store, rows, threads=2, cache=Cache(tmp_path))
    frame = pd.DataFrame(found, index=rows.index(), columns=names)
    assert frame.index.equals(expected.index)
    a, b = frame.to_numpy(), expected[names].to_numpy()
    np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
    with np.errstate(invalid="ignore"):
        close = np.isnan(a) | (a == b) | (np.abs(a - b) <= 1e-5 * np.maximum(1e-3, np.abs(b)))
    still = frame["STD5"].to_numpy() == 0 if "STD5" in frame else np.zeros(len(frame), dtype=bool)
    wrong = [(names[j], frame.index[i], a[i, j], b[i, j]) for i, j in np.argwhere(~close) if not still[i]]
    assert wrong == []
    same = (a == b) | np.isnan(a)
    assert same.mean() >= exact


def test_a_value_is_the_same_in_any_company(cn_data: Path) -> None:
    store = QlibBinStore(cn_data)
    rows = rows_for("csi100", store, start="2015-01-01", end="2016-12-31")
    expressions, _ = alpha158.fields()
    together = evaluate(expressions, store, rows, threads=2)
    alone = evaluate(expressions[::-17], store, rows, threads=1)
    np.testing.assert_array_equal(alone, together[:, ::-17])
    later = rows_for("csi100", store, start="2016-01-01", end="2016-12-31")
    part = evaluate(expressions, store, later, threads=2)
    np.testing.assert_array_equal(part, together[rows.days >= later.start])
