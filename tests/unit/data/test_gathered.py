"""Rows with gaps: the same values whoever gathers them, shared from the second who asks on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qnb.cache import Cache
from qnb.data import gathered
from qnb.data.gathered import gather
from qnb.data.table import Block, Gathering
from qnb.errors import CacheError

ROWS = np.array([0, 2, 3, 4, 90_000, 90_001, 99_999])


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """A cache in which every size counts as large."""
    monkeypatch.setattr(gathered, "SHARED_BYTES", 0)
    return Cache(tmp_path / "arrays")


@pytest.fixture
def how(cache: Cache) -> Gathering:
    """Gathering by two threads that shares in that cache."""
    return Gathering(threads=2, cache=cache)


@pytest.fixture
def matrix(cache: Cache) -> np.ndarray:
    """A matrix of the cache, as prepared data is."""
    with cache.create_array("prepared", (100_000, 3), np.float32) as out:
        cache.write(out, 0, np.random.default_rng(0).normal(size=out.shape))
    found = cache.get_array("prepared")
    assert found is not None
    return found


def test_the_first_has_a_copy_and_the_others_share_one_file(cache: Cache, matrix: np.ndarray, how: Gathering) -> None:
    for rows in (ROWS, np.flatnonzero(np.arange(100_000) % 7)):
        own, second, third = (gather(matrix, rows, how) for _ in range(3))
        assert not isinstance(own, np.memmap)
        for shared in (second, third):
            assert isinstance(shared, np.memmap)
            assert cache.key_of(shared) == cache.key_of(second) != "prepared"
            assert not shared.flags.writeable
            np.testing.assert_array_equal(shared, own)
        np.testing.assert_array_equal(own, matrix[rows])
    assert len([e for e in cache.entries() if e.label == "gathered rows"]) == 2


def test_a_block_with_gaps_is_shared_one_without_is_a_view(cache: Cache, matrix: np.ndarray, how: Gathering) -> None:
    block = Block("feature", ("a", "b", "c"), matrix, np.r_[:50, 60:99], gathering=how)
    block.matrix()
    assert cache.key_of(block.matrix()) not in (None, "prepared")
    assert np.shares_memory(block.matrix(slice(0, 50)), matrix)


def test_few_rows_and_foreign_matrices_stay_where_they_are(
    cache: Cache, matrix: np.ndarray, how: Gathering, monkeypatch: pytest.MonkeyPatch
) -> None:
    for values in (np.array(matrix), np.arange(12.0).reshape(4, 3)):
        for _ in range(3):
            assert not isinstance(gather(values, np.array([0, 2]), how), np.memmap)
    monkeypatch.setattr(gathered, "SHARED_BYTES", 1 << 26)
    for _ in range(3):
        assert not isinstance(gather(matrix, ROWS, how), np.memmap)
    assert [e.key for e in cache.entries()] == ["prepared"]


def test_without_room_the_memory_is_used(matrix: np.ndarray, how: Gathering, monkeypatch: pytest.MonkeyPatch) -> None:
    gather(matrix, ROWS, how)

    def full(*_: object, **__: object) -> None:
        raise CacheError("no space")

    monkeypatch.setattr(Cache, "create_array", full)
    np.testing.assert_array_equal(gather(matrix, ROWS, how), matrix[ROWS])


def test_a_damaged_file_is_gathered_again(matrix: np.ndarray, how: Gathering, caplog: pytest.LogCaptureFixture) -> None:
    gather(matrix, ROWS, how)
    path = Path(str(gather(matrix, ROWS, how).filename))  # type: ignore[attr-defined]
    path.write_bytes(path.read_bytes()[:-8])
    np.testing.assert_array_equal(gather(matrix, ROWS, how), matrix[ROWS])
    assert "corrupted" in caplog.text
    assert isinstance(gather(matrix, ROWS, how), np.memmap)
