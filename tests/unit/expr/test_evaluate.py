"""Evaluation as a whole: sharing, blocks, threads, the cache, and what goes wrong."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qnb.cache import Cache
from qnb.errors import CacheError, DataError, ExpressionError, UnknownNameError
from qnb.expr import MemorySource
from qnb.expr import layout as layouts
from qnb.expr.evaluate import evaluate, evaluation_key
from qnb.expr.parse import parse
from qnb.expr.plan import build_plan, loaded_rows

FIELDS = [
    "$close/Ref($close,1)-1", "Mean($close,5)", "Std($close,20)/$close", "Rank($close,10)", "Ref($close,-2)",
    "Corr($close,$volume,10)", "CSRank(Mean($close,5))", "EMA($close,8)", "IdxMax($close,7)", "$close>$open",
]  # fmt: skip


def test_equal_terms_are_one_value() -> None:
    texts = ["Mean($close,5)/$close", "Mean($close, 5)*2", "Std($close,5)", "$close > Mean($close,5)"]
    plan = build_plan([parse(t) for t in texts])
    kernels = [v for v in plan.values if v.op == "kernel"]
    assert len(kernels) == 2
    assert sum(v.op == "field" for v in plan.values) == 1


def test_alpha158_shrinks_by_sharing() -> None:
    from qnb.data.feature_sets import alpha158

    trees = [parse(t) for t in alpha158.fields()[0]]
    plan = build_plan(trees)
    assert len(plan.values) < 0.4 * sum(_size(t) for t in trees)


def _size(tree: Any) -> int:
    return 1 + sum(_size(a) for a in getattr(tree, "args", ()))


@pytest.mark.parametrize(
    ("text", "left", "right"),
    [
        ("$close", 0, 0),
        ("Mean($close,5)", 4, 0),
        ("Mean(Ref($close,3),5)", 7, 0),
        ("Ref(Mean($close,5),-2)", 4, 2),
        ("Corr(Mean($close,3),$open,10)", 11, 0),
        ("Delta($close,5)", 4, 0),
        ("Mean($close,0)+Std($close,9)", 8, 0),
        ("Mean($close,0.5)", 18, 0),
        ("EMA($close,12)", 11, 0),
        ("If($close>Ref($close,7),Mean($open,3),1)", 7, 0),
    ],
)
def test_history_is_loaded_as_the_peer_loads_it(text: str, left: int, right: int) -> None:
    assert loaded_rows(parse(text)) == (left, right)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("chunk", [50, 400, 100_000])
def test_threads_and_chunks_change_nothing(
    market: MemorySource, threads: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = market.rows(start=20)
    expected = evaluate(FIELDS, market, rows, threads=1)
    original = layouts.Layout.chunks
    monkeypatch.setattr(layouts.Layout, "chunks", lambda self: original(self, chunk))
    np.testing.assert_array_equal(evaluate(FIELDS, market, rows, threads=threads), expected)


@pytest.mark.parametrize("block", [100, 3000, 20_000])
def test_blocks_of_days_change_nothing(
    market: MemorySource, block: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = market.rows(start=20)
    expected = evaluate(FIELDS, market, rows)
    monkeypatch.setattr("qnb.expr.evaluate.BLOCK_BYTES", (block, block))
    seen: list[tuple[int, int]] = []
    found = evaluate(FIELDS, market, rows, progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_array_equal(found, expected)
    assert seen[-1] == (len(rows), len(rows))
    assert len(seen) > 1 or block == 20_000
    kept = evaluate(FIELDS, market, rows, cache=Cache(tmp_path))
    np.testing.assert_array_equal(kept, expected)
    assert isinstance(kept, np.memmap)


def test_a_long_segment_is_cut_without_a_trace(market: MemorySource, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = market.rows()
    expected = evaluate(FIELDS, market, rows)
    monkeypatch.setattr(layouts, "_LONGEST", 17)
    np.testing.assert_array_equal(evaluate(FIELDS, market, rows), expected)


def test_rows_with_holes_see_the_days_in_them(market: MemorySource) -> None:
    from dataclasses import replace

    rows = market.rows()
    expected = evaluate(FIELDS[:6], market, rows)
    keep = np.random.default_rng(0).random(len(rows)) < 0.2
    part = replace(rows, days=rows.days[keep], codes=rows.codes[keep])
    np.testing.assert_array_equal(evaluate(FIELDS[:6], market, part), expected[keep])


def test_no_rows_give_no_values(market: MemorySource) -> None:
    assert evaluate(FIELDS, market, market.rows(start=150)).shape == (0, len(FIELDS))


def test_a_row_without_data_is_nan(market: MemorySource) -> None:
    from dataclasses import replace

    rows = market.rows(stop=1)
    more = replace(rows, instruments=("AA", "ZZ"), codes=np.array([0, 1], np.int32), days=np.zeros(2, np.int32))
    found = evaluate(["$close", "Mean($close,3)", "$close>1"], market, more)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_the_cache_is_hit_and_gives_the_same(market: MemorySource, tmp_path: Path, caplog: Any) -> None:
    caplog.set_level(logging.INFO, logger="qnb.expr.evaluate")
    cache, rows = Cache(tmp_path), market.rows()
    plain = evaluate(FIELDS, market, rows)
    first = evaluate(FIELDS, market, rows, cache=cache)
    second = evaluate([f" {t} " for t in FIELDS], market, rows, cache=cache)  # spaces are no difference
    assert isinstance(second, np.memmap)
    assert not second.flags.writeable
    for found in (first, second):
        np.testing.assert_array_equal(found, plain)
    assert len(cache.entries()) == 1
    assert "cache hit" in caplog.text


def test_the_key_sees_everything_that_matters(market: MemorySource) -> None:
    from dataclasses import replace

    rows = market.rows()
    data = {s: dict(own) for s, own in market.data.items()}
    a, values = data["AA"]["close"]
    data["AA"]["close"] = (a, values * np.float32(1.01))
    keys = [
        evaluation_key(FIELDS, market, rows),
        evaluation_key(FIELDS[:-1], market, rows),
        evaluation_key(FIELDS[::-1], market, rows),
        evaluation_key(FIELDS, market, market.rows(start=5)),
        evaluation_key(FIELDS, market, replace(rows, members={"AA": ((0, 9),)})),
        evaluation_key(FIELDS, replace(market, data=data), rows),
        evaluation_key(FIELDS, market, rows, mode="strict"),
    ]
    assert len(set(keys)) == len(keys)
    assert evaluation_key(FIELDS, market, market.rows()) == keys[0]


def test_a_corrupted_entry_is_computed_again(market: MemorySource, tmp_path: Path, caplog: Any) -> None:
    cache, rows = Cache(tmp_path), market.rows()
    expected = np.array(evaluate(FIELDS, market, rows, cache=cache))
    (path,) = tmp_path.glob("*.npy")
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 255
    path.write_bytes(raw)
    np.testing.assert_array_equal(evaluate(FIELDS, market, rows, cache=cache), expected)
    assert "corrupted" in caplog.text


def test_a_full_disk_does_not_stop_the_computation(
    market: MemorySource, tmp_path: Path, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, rows = Cache(tmp_path), market.rows()

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    found = evaluate(FIELDS, market, rows, cache=cache)
    np.testing.assert_array_equal(found, evaluate(FIELDS, market, rows))
    assert "no space" in caplog.text
    assert cache.entries() == []


def test_an_error_leaves_no_entry(market: MemorySource, tmp_path: Path) -> None:
    class Broken(MemorySource):
        __slots__ = ()

        def series(self, instrument: str, field: str) -> tuple[int, np.ndarray] | None:
            if instrument == "CC":
                raise DataError("CC is truncated")
            return MemorySource.series(self, instrument, field)

    source = Broken(market.calendar, market.data)
    cache = Cache(tmp_path)
    with pytest.raises(DataError, match="CC is truncated"):
        evaluate(FIELDS[:2], source, source.rows(), threads=2, cache=cache)
    assert cache.entries() == []
    assert not [p for p in tmp_path.glob("**/*") if p.is_file() and p.suffix != ".lock"]


def test_a_wrong_expression_is_named_with_its_text(market: MemorySource) -> None:
    with pytest.raises(ExpressionError, match="unknown operator 'Maen'") as caught:
        evaluate(["$close", "Maen($close,5)"], market, market.rows())
    assert caught.value.text == "Maen($close,5)"
    with pytest.raises(ExpressionError, match="joins conditions") as caught:
        evaluate(["$close", "($close>1)&$open"], market, market.rows())
    assert caught.value.text == "($close>1)&$open"


def test_only_unknown_fields_are_an_error(market: MemorySource) -> None:
    with pytest.raises(UnknownNameError, match=r"no field '\$clsoe'; did you mean '\$close'"):
        evaluate(["Mean($clsoe,5)"], market, market.rows())


def test_a_cache_that_cannot_be_locked_is_gone_without(market: MemorySource, tmp_path: Path, caplog: Any) -> None:
    class Locked(Cache):
        def lock(self, key: str, *, timeout: float = -1) -> Any:
            raise CacheError("locked for ever")

    found = evaluate(["$close"], market, market.rows(), cache=Locked(tmp_path))
    assert np.isfinite(found).any()
    assert "locked for ever" in caplog.text
