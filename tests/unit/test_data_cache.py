"""``qnb data cache`` and ``%qdata cache``: what is kept, cleared and limited, with one parser for both."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from qnb.cache import DEFAULT_LIMIT, Cache
from qnb.cli import main
from qnb.config import Settings
from qnb.data.provider import open_cache
from qnb.errors import ConfigError
from qnb.options import data_parser, parse_line
from qnb.refused import refusal

DAY = 86400


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Three arrays, used today, ten and forty days ago, and a note."""
    monkeypatch.setenv("QNB_CACHE_DIR", str(tmp_path))
    made = open_cache(Settings.from_env())
    for key, label, days in (("aa", "158 fields, 10 rows", 0), ("bb", "columns after processors", 10), ("cc", "", 40)):
        with made.create_array(key, (1 << 18,), np.float32, label=label) as out:  # 1 MB
            out[...] = 1
        os.utime(made.root / f"{key}.json", (time.time() - days * DAY,) * 2)
    made.put_json("dd", [1])
    return made


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["data", "cache", *words]) == 0
    return capsys.readouterr().out


def keys(cache: Cache) -> set[str]:
    return {e.key for e in cache.entries()}


def test_the_list_says_what_it_is_its_size_its_last_use_and_the_limit(
    cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    head, _, title, *rows = said(capsys).splitlines()
    assert head == f"{cache.root}: 4 entries, 3.0 MB of at most 20.0 GB"
    assert title.split() == ["last", "used", "size", "key", "what"]
    assert [re.sub(r"^[\d-]+ [\d:]+ +", "", row) for row in rows] == [
        "1.0 MB  aa  158 fields, 10 rows",
        "1.0 MB  bb  columns after processors",
        "1.0 MB  cc  an array",
    ]
    assert [row[:10] for row in rows] == [
        time.strftime("%Y-%m-%d", time.localtime(time.time() - days * DAY)) for days in (0, 10, 40)
    ]
    assert len(said(capsys, "--older", "5").splitlines()) == 3 + 2


def test_a_long_list_is_cut_and_counted(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(30):
        with cache.create_array(f"k{number}", (10,), np.float32) as out:
            out[...] = 1
    lines = said(capsys).splitlines()
    assert len(lines) == 3 + 20 + 1
    assert lines[-1].startswith("and 13 entries more, ")
    assert len(said(capsys, "--all").splitlines()) == 3 + 33


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["--clear"], set()),
        (["--clear", "--older", "30"], {"aa", "bb", "dd"}),
        (["--clear", "158 FIELDS"], {"bb", "cc", "dd"}),
        (["--clear", "bb"], {"aa", "cc", "dd"}),
        (["--clear", "columns*", "--older", "20"], {"aa", "bb", "cc", "dd"}),
    ],
)
def test_clearing_removes_what_was_named(
    cache: Cache, capsys: pytest.CaptureFixture[str], words: list[str], left: set[str]
) -> None:
    kept = cache.get_array("aa")
    removed, rest = said(capsys, *words).splitlines()
    assert keys(cache) == left
    count = 4 - len(left)
    assert removed.startswith(f"removed {count} entr{'y' if count == 1 else 'ies'}, ")
    assert rest.startswith(f"{cache.root}: {len(left)} entries, ")
    assert kept is not None
    assert kept[0] == 1  # it was open


def test_the_limit_is_kept_for_the_user_and_counts_at_once(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--limit", "2.1MB").endswith("2.0 MB of at most 2.1 MB\n")
    assert keys(cache) == {"aa", "bb", "dd"}
    code = "from qnb.config import Settings; from qnb.data.provider import open_cache; "
    code += "print(open_cache(Settings.from_env()).max_bytes)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == int(2.1 * 2**20)
    with cache.create_array("ee", (1 << 18,), np.float32) as out:
        out[...] = 1
    assert keys(cache) == {"aa", "dd", "ee"}
    assert open_cache(Settings.from_env().with_(cache_bytes=12)).max_bytes == 12
    said(capsys, "--limit", "0")
    assert cache.max_bytes == DEFAULT_LIMIT


def test_a_damaged_limit_is_none(cache: Cache) -> None:
    (cache.root / "limit").write_text("much")
    assert cache.max_bytes == DEFAULT_LIMIT


def test_no_cache_yet_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QNB_CACHE_DIR", str(tmp_path / "none"))
    assert said(capsys).endswith(": 0 entries, 0.0 MB of at most 20.0 GB\n")
    assert said(capsys, "--clear").startswith("removed 0 entries")


def test_the_remedy_for_a_full_disk_is_a_command_that_is_there(tmp_path: Path) -> None:
    said = refusal(OSError(errno.ENOSPC, "", str(tmp_path)))
    (words,) = re.findall(r"`qnb data (cache --clear)`", said)
    assert parse_line(data_parser(), words).clear == ""


@pytest.mark.parametrize("line", ["cache --limit much", "cache --nothing", "cash"])
def test_a_wrong_option_of_the_magic_is_one_sentence(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="qdata"):
        parse_line(data_parser(), line)
    assert capsys.readouterr().err == ""
