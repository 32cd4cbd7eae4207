"""Other instruments and point-in-time figures."""

from __future__ import annotations

import numpy as np
import pytest

from qnb.errors import ExpressionError, UnknownNameError
from qnb.expr import MemorySource
from qnb.expr.evaluate import evaluate

RECORD = np.dtype([("date", "<u4"), ("period", "<u4"), ("value", "<f8")])


def test_another_instrument_is_read_on_the_same_days(market: MemorySource) -> None:
    rows = market.rows()
    texts = ["ChangeInstrument('AA',$close)", "Mask(Mean($close,20),'AA')", "Mean($close,20)", "$close"]
    found = evaluate(texts, market, rows)
    for code in range(len(rows.instruments)):
        days = rows.days[rows.codes == code]
        own = rows.codes == rows.instruments.index("AA")
        index = np.searchsorted(rows.days[own], days)
        np.testing.assert_array_equal(found[rows.codes == code, 0], found[own, 3][index])
        np.testing.assert_array_equal(found[rows.codes == code, 1], found[own, 2][index])


def test_a_window_of_another_instrument_is_whole_on_the_first_day(market: MemorySource) -> None:
    rows = market.rows()
    found = evaluate(["Count(Mask($close,'AA'),20)", "Mask(Count($close,20),'AA')"], market, rows)
    late = rows.codes == rows.instruments.index("FF")  # listed on day 90
    assert found[late, 1][0] >= 15
    assert found[late, 0][0] == 1  # the window counts the row's own history


def test_an_unknown_instrument_is_named(market: MemorySource) -> None:
    with pytest.raises(UnknownNameError, match="no instrument 'AAA'; did you mean 'AA'"):
        evaluate(["Mask($close,'AAA')"], market, market.rows())


@pytest.fixture
def figures(market: MemorySource) -> MemorySource:
    """Quarterly earnings: the second quarter is published before the first is revised."""
    earnings = np.array(
        [(20190110, 201804, 1.0), (20190201, 201901, 2.0), (20190301, 201902, 3.0), (20190315, 201901, 2.5)], RECORD
    )
    assets = np.array([(20190201, 201901, 10.0), (20190401, 201902, 20.0)], RECORD)
    return MemorySource(
        market.calendar,
        {s: market.data[s] for s in ("AA", "BB")},
        figures={("AA", "earn_q"): earnings, ("AA", "assets_q"): assets},
    )


def known(source: MemorySource, text: str, day: str, symbol: str = "AA") -> float:
    rows = source.rows()
    found = evaluate([text, "$close"], source, rows)[:, 0]
    at = (source.calendar[rows.days] == np.datetime64(day)) & (rows.codes == rows.instruments.index(symbol))
    return float(found[at][0])


@pytest.mark.parametrize(
    ("text", "day", "expected"),
    [
        ("P($$earn_q)", "2019-01-09", np.nan),
        ("P($$earn_q)", "2019-01-10", 1.0),
        ("P($$earn_q)", "2019-01-31", 1.0),
        ("P($$earn_q)", "2019-02-01", 2.0),
        ("P($$earn_q)", "2019-03-14", 3.0),
        ("P(Mean($$earn_q,3))", "2019-03-14", 2.0),
        ("P(Mean($$earn_q,3))", "2019-03-15", np.float32(6.5 / 3)),  # the revision counts from its day on
        ("P(Ref($$earn_q,1))", "2019-03-15", 2.5),
        ("P($$earn_q/$$assets_q)", "2019-02-01", np.float32(0.2)),
        ("P($$earn_q/$$assets_q)", "2019-03-14", np.nan),  # assets of the last quarter are not out
        ("P($$earn_q/$$assets_q)", "2019-04-01", np.float32(0.15)),
        ("PRef($$earn_q,201901)", "2019-03-14", 2.0),
        ("PRef($$earn_q,201901)", "2019-03-15", 2.5),
        ("PRef($$earn_q,201903)", "2019-06-03", np.nan),
        ("Mean(P($$earn_q),2)", "2019-02-01", 1.5),
    ],
)
def test_a_figure_is_what_was_known_on_the_day(figures: MemorySource, text: str, day: str, expected: float) -> None:
    np.testing.assert_allclose(known(figures, text, day), expected, rtol=1e-6)


def test_an_instrument_without_figures_has_none(figures: MemorySource) -> None:
    assert np.isnan(known(figures, "P($$earn_q)", "2019-04-01", "BB"))
    assert np.isnan(known(figures, "P($$nothing_q)", "2019-04-01"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("P($close)", r"write \$\$close"),
        ("P($$earn)", "ends in _q"),
        ("P($$earn_q/$$sales_a)", "quarterly and yearly"),
        ("P(Ref($$earn_q,-1))", "still to come"),
        ("P(P($$earn_q))", "P stands inside P"),
    ],
)
def test_what_is_no_figure_is_refused(figures: MemorySource, text: str, words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        evaluate([text, "$close"], figures, figures.rows())
