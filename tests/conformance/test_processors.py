"""Every registered processor: what it reads is what it says, the input stays, the result is float32 on the same rows.

A new processor is tested by existing. Arguments that a processor needs for these frames stand in `ARGUMENTS`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qnb import registry
from qnb.data.frames import frame_of, table_of
from qnb.data.pipeline import prepare_table
from qnb.data.processor import TableProcessor, Workspace
from qnb.errors import ConfigError

FIT = ("2020-01-06", "2020-01-31")
ARGUMENTS: dict[str, dict[str, Any]] = {
    "DropCol": {"col_list": ["KMID"]},
    "FilterCol": {"col_list": ["KMID", "ROC5"]},
}
NAMES = ("KMID", "KLEN", "KUP2", "HIGH0", "LOW0", "ROC5", "STD5", "RSQR5", "MAX5", "CORR5", "WVMA5", "RANK5")
CLASSES = sorted(registry.members("processor"))


def make(name: str) -> TableProcessor:
    """Return the processor of that name with the arguments it needs here."""
    member = registry.locate("processor", name)
    wanted = {p.name for p in registry.parameters(member)}
    window = dict(zip(("fit_start_time", "fit_end_time"), FIT, strict=True))
    return registry.find("processor", name)(
        **{k: v for k, v in window.items() if k in wanted}, **ARGUMENTS.get(name, {})
    )


CAUSAL = [n for n in CLASSES if make(n).reads != "all"]
LEARNING = [n for n in CLASSES if make(n).reads == "fit window"]


def test_only_what_says_so_reads_the_future() -> None:
    assert set(CLASSES) - set(CAUSAL) == {"TimeRangeFlt"}


def frame(days: int = 40, instruments: int = 9, seed: int = 0) -> pd.DataFrame:
    """Return features and a label with gaps, ties, NaN, infinities, a constant and an empty column."""
    random = np.random.default_rng(seed)
    dates = pd.bdate_range("2020-01-01", periods=days).as_unit("ns")
    symbols = [f"S{i:02d}" for i in range(instruments)]
    index = pd.MultiIndex.from_product([dates, symbols], names=["datetime", "instrument"])
    index = index[random.random(len(index)) < 0.9]
    values = (1 + 0.3 * random.standard_normal((len(index), len(NAMES) + 3))).astype(np.float32)
    values[:, 0] = np.round(values[:, 0], 1)
    values[random.random(values.shape) < 0.05] = np.nan
    values[:, :-1][random.random(values[:, :-1].shape) < 0.003] = np.inf
    values[:, -3], values[:, -2] = 2.5, np.nan
    columns = [*(("feature", n) for n in (*NAMES, "CONST", "EMPTY")), ("label", "LABEL0")]
    return pd.DataFrame(values, index=index, columns=pd.MultiIndex.from_tuples(columns))


def run(name: str, given: pd.DataFrame, *, fitted_on: pd.DataFrame | None = None, threads: int = 1) -> pd.DataFrame:
    """Return the output of the processor, fitted on `fitted_on`."""
    proc = make(name)
    work = Workspace(threads=threads)
    proc.learn(table_of(given if fitted_on is None else fitted_on), work)
    return frame_of(proc.transform(table_of(given), work))


@pytest.mark.parametrize("name", CLASSES)
def test_says_what_it_reads_and_can_be_described(name: str) -> None:
    proc = make(name)
    assert isinstance(proc, TableProcessor)
    assert proc.reads in ("row", "day", "fit window", "all")
    assert type(proc).__doc__
    assert name in repr(proc)


@pytest.mark.parametrize("name", CLASSES)
def test_the_input_is_not_changed(name: str) -> None:
    given = frame()
    table = table_of(given)
    before = [b.values.copy() for b in table.blocks]
    proc = make(name)
    proc.learn(table, Workspace())
    proc.transform(table, Workspace())
    for block, values in zip(table.blocks, before, strict=True):
        np.testing.assert_array_equal(block.values, values)
    kept = given.copy()
    proc.fit(given)
    proc(given)
    pd.testing.assert_frame_equal(given, kept)


@pytest.mark.parametrize("name", CLASSES)
def test_float32_on_rows_and_columns_of_the_input(name: str) -> None:
    given = frame()
    got = run(name, given)
    assert (got.dtypes == np.float32).all()
    assert got.index.isin(given.index).all()
    assert not got.index.duplicated().any()
    assert set(got.columns) <= set(given.columns)
    assert list(got.index.names) == ["datetime", "instrument"]


@pytest.mark.parametrize("name", CAUSAL)
def test_tomorrow_never_changes_today(name: str) -> None:
    given = frame(days=40)
    today = given.index.get_level_values("datetime").unique()[30]
    other = given.copy()
    later = other.index.get_level_values("datetime") > today
    other.loc[later] = np.random.default_rng(9).standard_normal((later.sum(), other.shape[1])).astype(np.float32) * 50
    first, second = run(name, given), run(name, other)  # both fitted on their own data, whose fit window is equal
    if name == "HashStockFormat":
        first, second = first.sort_index(), second.sort_index()
    pd.testing.assert_frame_equal(first.loc[:today], second.loc[:today])


@pytest.mark.parametrize("name", CAUSAL)
def test_a_row_or_day_is_processed_alike_wherever_it_stands(name: str) -> None:
    given = frame()
    dates = given.index.get_level_values("datetime").unique()
    whole = run(name, given)
    part = given.loc[dates[10] : dates[20]]
    alone = run(name, part, fitted_on=given)
    expected = whole[whole.index.isin(part.index)]
    pd.testing.assert_frame_equal(alone, expected)


@pytest.mark.parametrize("name", CLASSES)
def test_threads_do_not_change_the_result(name: str) -> None:
    given = frame(days=80, instruments=30)
    pd.testing.assert_frame_equal(run(name, given), run(name, given, threads=3))


@pytest.mark.parametrize("name", CLASSES)
def test_fit_looks_at_the_fit_window_only(name: str) -> None:
    proc = make(name)
    if proc.reads != "fit window":
        assert not proc.state, f"{name} learns but does not say so"
        return
    given = frame()
    other = given.copy()
    dates = other.index.get_level_values("datetime")
    outside = (dates < FIT[0]) | (dates > FIT[1])
    other.loc[outside] = 1e6
    again = make(name)
    proc.fit(given)
    again.fit(other)
    assert proc.state
    np.testing.assert_equal(proc.state, again.state)


@pytest.mark.parametrize("name", LEARNING)
def test_what_was_learned_can_be_handed_over(name: str) -> None:
    given = frame()
    proc, other = make(name), make(name)
    proc.fit(given)
    other.state = proc.state
    pd.testing.assert_frame_equal(proc(given), other(given))


@pytest.mark.parametrize("name", LEARNING)
def test_a_missing_fit_window_is_refused(name: str) -> None:
    proc = registry.find("processor", name)()
    with pytest.raises(ConfigError, match="fit_start_time and fit_end_time"):
        proc.fit(frame())


@pytest.mark.parametrize("name", CLASSES)
def test_learn_only_processors_are_refused_for_inference(name: str) -> None:
    proc = make(name)
    table = table_of(frame())
    if proc.is_for_infer():
        prepared = prepare_table(table, infer=[proc])
        assert prepared.raw is table
    else:
        with pytest.raises(ConfigError, match="move it to learn_processors"):
            prepare_table(table, infer=[proc])
        prepared = prepare_table(table, learn=[proc])
        assert prepared.infer is table


@pytest.mark.parametrize("name", CLASSES)
def test_an_empty_group_of_rows_gives_none(name: str) -> None:
    given = frame()
    got = run(name, given.iloc[:0], fitted_on=given)
    assert len(got) == 0


@pytest.mark.parametrize("name", CLASSES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.lists(st.one_of(st.floats(width=32, allow_nan=True, allow_infinity=True)), min_size=3, max_size=3),
        min_size=2,
        max_size=12,
    )
)
def test_any_numbers_are_survived(name: str, rows: list[list[float]]) -> None:
    dates = pd.to_datetime(["2020-01-06"] * (len(rows) // 2) + ["2020-01-07"] * (len(rows) - len(rows) // 2))
    symbols = [f"S{i:02d}" for i in range(len(rows))]
    index = pd.MultiIndex.from_arrays([dates.as_unit("ns"), symbols], names=["datetime", "instrument"])
    columns = pd.MultiIndex.from_tuples([("feature", "KMID"), ("feature", "ROC5"), ("label", "LABEL0")])
    given = pd.DataFrame(np.array(rows, dtype=np.float32), index=index, columns=columns)
    given.iloc[0, 2] = 0.5  # a label, so that not every row is dropped
    got = run(name, given)
    assert got.index.isin(given.index).all()
