"""Cross-sections: over the members of the day, in groups or not, and below windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from qnb.errors import UnknownNameError
from qnb.expr import MemorySource, Rows
from qnb.expr.evaluate import evaluate


def frame(source: MemorySource, texts: list[str], rows: Rows | None = None) -> pd.DataFrame:
    rows = source.rows() if rows is None else rows
    return pd.DataFrame(evaluate(texts, source, rows), index=rows.index(), columns=texts)


@pytest.mark.parametrize("group", ["", ', "sector"'])
def test_each_day_is_compared_within_itself(market: MemorySource, group: str) -> None:
    texts = ["$close", f"CSRank($close{group})", f"CSDemean($close{group})", f"CSZScore($close{group})"]
    found = frame(market, texts)
    sector = found.index.get_level_values("instrument").map(lambda s: market.groupings["sector"].get(s, ""))
    keys = [found.index.get_level_values("datetime"), *([sector] if group else [])]
    x = found["$close"].astype(float)
    by = x.groupby(keys)
    np.testing.assert_allclose(found[texts[1]], by.rank(pct=True), rtol=1e-6)
    np.testing.assert_allclose(found[texts[2]], x - by.transform("mean"), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[texts[3]], (x - by.transform("mean")) / by.transform("std"), rtol=1e-4, atol=1e-5)


def test_neutralising_is_demeaning_by_group(market: MemorySource) -> None:
    found = frame(market, ["CSNeutralize($close,'sector')", "CSDemean($close,'sector')"])
    pd.testing.assert_series_equal(found.iloc[:, 0], found.iloc[:, 1], check_names=False)


def test_ties_share_their_mean_rank_and_infinities_are_left_out(calendar: np.ndarray) -> None:
    x = {s: {"x": (0, np.array([v], np.float32))} for s, v in zip("ABCDE", [1, 2, 2, np.inf, np.nan], strict=True)}
    found = frame(MemorySource(calendar, x), ["CSRank($x)", "CSZScore($x*0)"])
    np.testing.assert_allclose(found["CSRank($x)"], [1 / 3, 2.5 / 3, 2.5 / 3, np.nan, np.nan], rtol=1e-6)
    assert found["CSZScore($x*0)"].isna().all()


def test_only_members_of_the_day_count(market: MemorySource) -> None:
    rows = market.rows()
    members = {"AA": ((0, 50),), "BB": ((50, 150),)}
    keep = np.array([
        any(a <= d < b for a, b in members.get(rows.instruments[c], ((0, 150),)))
        for d, c in zip(rows.days, rows.codes, strict=True)
    ])  # fmt: skip
    asked = replace(rows, days=rows.days[keep], codes=rows.codes[keep], members=members)
    found = frame(market, ["$close", "CSRank($close)"], asked)
    expected = found["$close"].groupby(level="datetime").rank(pct=True)
    np.testing.assert_allclose(found["CSRank($close)"], expected, rtol=1e-6)


def test_a_window_over_a_cross_section_sees_members_before_the_first_day(market: MemorySource) -> None:
    texts = ["Mean(CSRank($close),5)", "Ref(CSRank($close),1)", "CSRank(Mean(CSRank($close),5)+Std($close,5))"]
    whole = frame(market, texts)
    part = frame(market, texts, market.rows(start=70))
    pd.testing.assert_frame_equal(part, whole.loc[part.index[0][0] :])


def test_days_before_membership_have_no_rank(market: MemorySource) -> None:
    rows = replace(market.rows(start=50), members={"AA": ((50, 150),)})
    found = evaluate(["Count(CSRank($close),5)", "Count($close,5)"], market, rows)
    first = (rows.days == 50) & (rows.codes == rows.instruments.index("AA"))
    assert found[first, 0] == 1
    assert found[first, 1] > 1


def test_an_unknown_grouping_is_named(market: MemorySource) -> None:
    with pytest.raises(UnknownNameError, match=r"no grouping 'sectr'.*groups/sectr\.txt"):
        frame(market, ["CSNeutralize($close,'sectr')"])
