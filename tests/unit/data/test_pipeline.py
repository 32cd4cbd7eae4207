"""Processing chains: what is shared, what is kept in the cache, how users' processors take part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qnb.cache import Cache
from qnb.data.frames import frame_of, table_of
from qnb.data.pipeline import content_address, prepare_table
from qnb.data.processor import Processor
from qnb.data.processors.cs_rank_norm import CSRankNorm
from qnb.data.processors.cs_z_score_norm import CSZScoreNorm
from qnb.data.processors.dropna_label import DropnaLabel
from qnb.data.processors.fillna import Fillna
from qnb.data.processors.filter_col import FilterCol
from qnb.data.processors.robust_z_score_norm import RobustZScoreNorm
from qnb.errors import CacheError, DataError

FIT = ("2020-01-06", "2020-02-10")


def robust() -> list:
    return [RobustZScoreNorm(*FIT, fields_group="feature"), Fillna("feature")]


def test_without_processors_all_three_are_one(toy_frame) -> None:
    raw = table_of(toy_frame())
    prepared = prepare_table(raw)
    assert prepared.infer is raw
    assert prepared.learn is raw


def test_learning_on_labels_shares_the_matrix_of_features(toy_frame) -> None:
    raw = table_of(toy_frame())
    prepared = prepare_table(raw, learn=[DropnaLabel(), CSZScoreNorm("label")])
    assert prepared.infer is raw
    assert prepared.learn.blocks[0].values is raw.blocks[0].values
    assert prepared.learn.blocks[1].values is not raw.blocks[1].values
    assert len(prepared.learn) < len(raw)
    want = toy_frame().dropna(subset=[("label", "LABEL0")])
    pd.testing.assert_frame_equal(frame_of(prepared.learn)["feature"], want["feature"], check_freq=False)


def test_a_chain_copies_a_matrix_once_and_leaves_the_input(toy_frame) -> None:
    raw = table_of(toy_frame())
    before = raw.blocks[0].values.copy()
    seen = []

    class Spy(Fillna):
        def transform(self, table, work):  # type: ignore[no-untyped-def]
            seen.append(table.blocks[0].values)
            return super().transform(table, work)

    prepared = prepare_table(raw, infer=[*robust(), Spy("feature")])
    assert seen[0] is prepared.infer.blocks[0].values
    assert prepared.infer.blocks[1].values is raw.blocks[1].values
    np.testing.assert_array_equal(raw.blocks[0].values, before)


def test_learn_never_changes_infer(toy_frame) -> None:
    raw = table_of(toy_frame())
    prepared = prepare_table(raw, infer=robust(), learn=[DropnaLabel(), Fillna("feature", 7), CSRankNorm("label")])
    alone = prepare_table(raw, infer=robust())
    assert frame_of(prepared.infer).equals(frame_of(alone.infer))


def test_append_and_independent(toy_frame) -> None:
    raw = table_of(toy_frame())
    shared = [Fillna("feature", 3.0)]
    for process_type, clipped in (("append", True), ("independent", False)):
        prepared = prepare_table(
            raw,
            shared=shared,
            infer=[RobustZScoreNorm(*FIT, fields_group="feature")],
            learn=[DropnaLabel()],
            process_type=process_type,
        )
        assert not frame_of(prepared.infer)["feature"].isna().any().any()
        same = frame_of(prepared.learn)["feature"].equals(
            frame_of(prepared.infer).loc[frame_of(prepared.learn).index]["feature"]
        )
        assert same == clipped


def test_fit_modes(toy_frame) -> None:
    raw = table_of(toy_frame())
    first = Fillna("feature", 100.0)
    sequential, independent = RobustZScoreNorm(*FIT), RobustZScoreNorm(*FIT)
    prepare_table(raw, infer=[first, sequential])
    prepare_table(raw, infer=[first, independent], mode="fit_ind")
    assert not np.array_equal(sequential.center_, independent.center_)
    alone = RobustZScoreNorm(*FIT)
    prepare_table(raw, infer=[alone])
    np.testing.assert_array_equal(alone.center_, independent.center_)
    kept = sequential.center_.copy()
    prepare_table(raw, infer=[first, sequential], mode="load_state")
    np.testing.assert_array_equal(sequential.center_, kept)


class Demean(Processor):
    """A user's processor: pandas style, learns in fit, writes into what it is given."""

    def __init__(self, group: str = "feature") -> None:
        self.group = group

    def fit(self, df: pd.DataFrame | None = None) -> None:
        assert df is not None
        self.mean_ = df[self.group].loc[FIT[0] : FIT[1]].mean()

    def __call__(self, df: pd.DataFrame) -> pd.DataFrame:
        df[self.group] = df[self.group] - self.mean_
        return df


def test_users_processors_take_part(toy_frame, tmp_path: Path) -> None:
    frame = toy_frame()
    raw = table_of(frame)
    prepared = prepare_table(raw, infer=[Demean(), Fillna("feature")], learn=[DropnaLabel()], cache=Cache(tmp_path))
    want = (frame["feature"] - frame["feature"].loc[FIT[0] : FIT[1]].mean()).fillna(0)
    pd.testing.assert_frame_equal(frame_of(prepared.infer)["feature"], want, check_freq=False, rtol=1e-5)
    assert frame_of(raw).equals(frame)
    again = prepare_table(raw, infer=[Demean(), Fillna("feature")], learn=[DropnaLabel()], cache=Cache(tmp_path))
    assert frame_of(again.learn).equals(frame_of(prepared.learn))


def test_a_plain_class_with_call_is_enough_and_may_change_columns(toy_frame) -> None:
    class Extend:
        def __call__(self, df: pd.DataFrame) -> pd.DataFrame:
            df[("feature", "SUM")] = df["feature"].sum(axis=1)
            return df.iloc[::-1]

    table = prepare_table(table_of(toy_frame()), infer=[Extend()]).infer
    assert ("feature", "SUM") in table.columns
    assert (np.diff(table.index.dates.view(np.int64)) >= 0).all()


def test_a_processor_that_returns_nothing_or_raises_is_named(toy_frame) -> None:
    class Nothing:
        def __call__(self, df: pd.DataFrame) -> None:
            df.fillna(0, inplace=True)

    class Broken:
        def __call__(self, df: pd.DataFrame) -> pd.DataFrame:
            raise KeyError("close")

    raw = table_of(toy_frame())
    with pytest.raises(DataError, match="Nothing returned nothing"):
        prepare_table(raw, infer=[Nothing()])
    with pytest.raises(KeyError) as caught:
        prepare_table(raw, infer=[Broken()])
    assert caught.value.__notes__ == ["in processor Broken"]


@pytest.fixture
def big(toy_frame):  # type: ignore[no-untyped-def]
    """A frame whose matrix is large enough to be written straight into the cache."""
    return toy_frame(days=300, instruments=60, features=20)


def test_the_cache_gives_the_same_without_computing(big, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = table_of(big)
    learn = [DropnaLabel(), CSRankNorm("label")]
    plain = prepare_table(raw, infer=robust(), learn=learn)
    made = robust()
    first = prepare_table(raw, infer=made, learn=learn, cache=Cache(tmp_path))
    monkeypatch.setattr(RobustZScoreNorm, "transform", lambda *_: pytest.fail("computed again"))
    monkeypatch.setattr(RobustZScoreNorm, "learn", lambda *_: pytest.fail("fitted again"))
    monkeypatch.setattr(CSRankNorm, "transform", lambda *_: pytest.fail("computed again"))
    found = robust()
    second = prepare_table(raw, infer=found, learn=learn, cache=Cache(tmp_path))
    for key in ("infer", "learn"):
        want = frame_of(getattr(plain, key))
        assert frame_of(getattr(first, key)).equals(want)
        assert frame_of(getattr(second, key)).equals(want)
    assert isinstance(second.infer.blocks[0].values, np.memmap)
    assert second.learn.blocks[0].values is second.infer.blocks[0].values
    assert found[0].state == made[0].state
    assert second.infer.fingerprint == first.infer.fingerprint != ""


def test_the_address_depends_on_data_arguments_window_and_order(toy_frame, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    raw = table_of(toy_frame())

    def address(*processors: object, table=raw) -> str:  # type: ignore[no-untyped-def]
        return prepare_table(table, infer=processors, cache=cache).infer.fingerprint

    base = address(Fillna("feature"), CSRankNorm())
    others = [
        address(CSRankNorm(), Fillna("feature")),
        address(Fillna("feature", 1.0), CSRankNorm()),
        address(Fillna("feature"), CSRankNorm(), table=table_of(toy_frame(seed=1))),
        address(RobustZScoreNorm(*FIT)),
        address(RobustZScoreNorm(FIT[0], "2020-02-11")),
    ]
    assert len({base, *others}) == 6
    assert base == address(Fillna("feature"), CSRankNorm())


def test_intermediate_matrices_do_not_stay_in_the_cache(big, tmp_path: Path) -> None:
    raw = table_of(big)
    chain = [RobustZScoreNorm(*FIT, fields_group="feature"), FilterCol("feature", ["F0", "F1"]), Fillna("feature")]
    table = prepare_table(raw, infer=chain, cache=Cache(tmp_path)).infer
    sizes = [e.bytes for e in Cache(tmp_path).entries()]
    assert max(sizes) < 2 * table.blocks[0].values.nbytes
    assert not list(tmp_path.glob(".*.npy"))
    found = prepare_table(raw, infer=chain, cache=Cache(tmp_path)).infer
    assert frame_of(found).equals(frame_of(table))
    assert found.columns == table.columns


def test_a_broken_entry_is_computed_again(big, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw = table_of(big)
    want = frame_of(prepare_table(raw, infer=robust(), cache=Cache(tmp_path)).infer).copy()
    largest = max(tmp_path.glob("*.npy"), key=lambda p: p.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[5000:5400] = b"\0" * 400
    largest.write_bytes(content)
    got = frame_of(prepare_table(raw, infer=robust(), cache=Cache(tmp_path)).infer)
    assert got.equals(want)
    assert "corrupted" in caplog.text


def test_a_full_disk_does_not_stop_the_work(big, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise CacheError("no space for 9 MiB in the cache")

    raw = table_of(big)
    want = frame_of(prepare_table(raw, infer=robust()).infer)
    cache = Cache(tmp_path)
    monkeypatch.setattr(Cache, "put_json", full)
    monkeypatch.setattr("qnb.cache._write_header", full)
    got = prepare_table(raw, infer=robust(), cache=cache).infer
    assert frame_of(got).equals(want)
    assert "no space" in caplog.text
    assert not list(tmp_path.glob("*.npy"))


def test_a_failing_chain_leaves_nothing_behind(big, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise DataError("broken")

    monkeypatch.setattr(Fillna, "transform", broken)
    with pytest.raises(DataError):
        prepare_table(table_of(big), infer=robust(), cache=Cache(tmp_path))
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_content_addresses_tell_tables_apart(toy_frame) -> None:
    one, two = table_of(toy_frame()), table_of(toy_frame())
    assert content_address(one) == content_address(two)
    two.blocks[0].values[3, 1] += 1
    assert content_address(one) != content_address(two)


def test_a_cache_that_cannot_be_written_is_done_without(toy_frame, tmp_path: Path, caplog) -> None:
    (tmp_path / "file").write_text("")
    table = prepare_table(table_of(toy_frame()), infer=robust(), cache=Cache(tmp_path / "file")).infer
    assert frame_of(table).equals(frame_of(prepare_table(table_of(toy_frame()), infer=robust()).infer))
    assert "going on without the cache" in caplog.text
