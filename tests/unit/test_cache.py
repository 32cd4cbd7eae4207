"""The cache: nothing half-written, nothing wrong handed out, two processes compute once, and it stays bounded."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnb import cache as cache_module
from qnb.cache import Cache, digest
from qnb.errors import CacheError


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 10 * 2**20)


def put(cache: Cache, key: str, values: Any, **options: Any) -> None:
    array = np.asarray(values)
    with cache.create_array(key, array.shape, array.dtype, **options) as out:
        out[...] = array


def leftovers(cache: Cache) -> list[str]:
    return [p.name for p in cache.root.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("shape", [(3, 4), (1000,), (0, 5), (300, 700)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_an_array_comes_back_as_it_was(cache: Cache, shape: tuple[int, ...], dtype: Any) -> None:
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    assert cache.get_array("k") is None
    put(cache, "k", values)
    found = cache.get_array("k")
    assert found is not None
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype
    assert not found.flags.writeable
    assert leftovers(cache) == []


def test_an_array_may_be_written_piece_by_piece(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    values = np.random.default_rng(0).random((3000, 151)).astype(np.float32)
    with cache.create_array("k", values.shape, values.dtype) as out:
        for first in range(0, 3000, 700):
            cache.write(out, first, values[first : first + 700])
        np.testing.assert_array_equal(out[:10], values[:10])
    put(cache, "whole", values)
    path = cache.root / "k.npy"
    os.utime(path, (5, 5))  # every byte is checked
    np.testing.assert_array_equal(cache.get_array("k"), values)
    assert (
        json.loads((cache.root / "k.json").read_text())["words"]
        == json.loads((cache.root / "whole.json").read_text())["words"]
    )
    assert "corrupted" not in caplog.text
    assert cache.key_of(cache.get_array("k")) == "k"
    assert cache.key_of(values) is None


def test_after_a_restart_every_byte_is_checked_once(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    put(cache, "k", np.arange(300_000, dtype=np.float32))
    checked = []
    original = cache_module._Words.finish
    monkeypatch.setattr(cache_module._Words, "finish", lambda self: checked.append(1) or original(self))
    assert cache.get_array("k") is not None
    assert checked == []
    monkeypatch.setattr(cache_module, "_boot", lambda: "another start")
    assert cache.get_array("k") is not None
    assert cache.get_array("k") is not None
    assert len(checked) == 1


def test_a_failed_computation_leaves_nothing(cache: Cache) -> None:
    def fail(out: np.ndarray) -> None:
        out[:5] = 1
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError), cache.create_array("k", (10,), np.float32) as out:
        fail(out)
    assert cache.get_array("k") is None
    assert leftovers(cache) == []


@pytest.mark.parametrize("damage", ["flip", "middle", "truncate", "description", "header", "grow"])
def test_a_corrupted_entry_is_dropped_and_said_so(cache: Cache, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    put(cache, "k", np.arange(500_000, dtype=np.float32))
    path, note = cache.root / "k.npy", cache.root / "k.json"
    raw = bytearray(path.read_bytes())
    if damage == "flip":
        raw[-3] ^= 64
    elif damage == "middle":
        raw[777_777] ^= 1
    elif damage == "truncate":
        raw = raw[:-100]
    elif damage == "header":
        raw[:6] = b"garbag"
    elif damage == "grow":
        raw += b"more"
    else:
        note.write_text("{not json")
    path.write_bytes(raw)
    assert cache.get_array("k") is None
    assert "corrupted" in caplog.text
    assert "computed again" in caplog.text
    assert not path.exists()
    put(cache, "k", [1.0])
    assert cache.get_array("k") is not None


def test_a_full_disk_is_named_with_the_remedy(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(CacheError, match=r"no space.*QNB_CACHE_DIR"), cache.create_array("k", (10,), np.float32):
        pytest.fail("the block must not run")
    monkeypatch.undo()
    assert cache.get_array("k") is None
    assert leftovers(cache) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = Cache(tmp_path / "file" / "cache")
    with pytest.raises(CacheError, match="cannot be written"), blocked.create_array("k", (1,), np.float32):
        pytest.fail("the block must not run")
    with pytest.raises(CacheError, match="cannot be written"):
        blocked.put_json("k", 1)
    with pytest.raises(CacheError, match="cannot be written"), blocked.lock("k"):
        pytest.fail("the block must not run")
    assert blocked.get_array("k") is None
    assert blocked.size() == 0


def test_json_comes_back_and_a_corrupted_value_does_not(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    assert cache.get_json("k") is None
    cache.put_json("k", {"a": [1, 2.5, None]})
    assert cache.get_json("k") == {"a": [1, 2.5, None]}
    path = cache.root / "k.value.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "value": {"a": 2}}))
    assert cache.get_json("k") is None
    assert "corrupted" in caplog.text


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 1_005_000)
    for k in range(4):
        put(cache, f"k{k}", np.zeros(50_000, np.float32))  # 200 kB each
        os.utime(cache.root / f"k{k}.json", (k, k))
    assert cache.get_array("k0") is not None  # used just now
    put(cache, "k4", np.zeros(100_000, np.float32))
    assert {e.key for e in cache.entries()} == {"k0", "k2", "k3", "k4"}
    assert cache.size() <= cache.max_bytes


def test_entries_are_listed_and_cleared(cache: Cache) -> None:
    put(cache, "a", np.zeros(1000), label="one thousand zeros")
    cache.put_json("b", 1)
    by_key = {e.key: e for e in cache.entries()}
    assert by_key["a"].label == "one thousand zeros"
    assert by_key["a"].bytes > 8000
    assert cache.clear() >= 8000
    assert cache.entries() == []


@pytest.mark.parametrize("key", ["", "../k", "a/b", ".hidden", "x" * 200])
def test_a_key_cannot_leave_the_folder(cache: Cache, key: str) -> None:
    with pytest.raises(CacheError, match="no cache key"):
        cache.get_array(key)


def test_two_processes_compute_once(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        import numpy as np
        from qnb.cache import Cache
        cache = Cache(Path(sys.argv[1]))
        with cache.lock("k"):
            found = cache.get_array("k")
            if found is None:
                with open(Path(sys.argv[1]) / "computed.log", "a") as log:
                    log.write("x")
                time.sleep(0.3)
                with cache.create_array("k", (100,), np.float32) as out:
                    out[:] = 7
                found = cache.get_array("k")
        assert (found == 7).all()
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for process in running:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
    assert (tmp_path / "computed.log").read_text() == "x"


def test_a_lock_that_is_held_too_long_is_an_error(cache: Cache) -> None:
    with cache.lock("k"), pytest.raises(CacheError, match="another process"), cache.lock("k", timeout=0.05):
        pytest.fail("the block must not run")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(PLAIN, PLAIN)
def test_different_parts_have_different_digests(a: Any, b: Any) -> None:
    same = repr(a) == repr(b)
    assert same or (digest(a) != digest(b)) or a == b
    assert digest(a) == digest(a)
    assert digest(a, b) != digest([a, b])


def test_a_digest_sees_order_type_and_content() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest(1) != digest("1")
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(np.zeros(3)) != digest(np.zeros(3, np.float32))
    assert digest(np.arange(6).reshape(2, 3)) != digest(np.arange(6).reshape(3, 2))
