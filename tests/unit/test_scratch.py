"""Folders for a moment, and what a process that was killed leaves of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qnb import scratch
from qnb.scratch import scratch_folder

HOLD = """
import sys, time
from qnb.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "model").touch()
    print(folder, flush=True)
    time.sleep(600)
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows locks no folders")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "_swept", set())
    return tmp_path


def test_a_folder_is_there_as_long_as_it_is_needed(place: Path) -> None:
    with scratch_folder() as folder, scratch_folder() as other:
        assert folder.parent == other.parent == place
        assert folder != other
        assert folder.stat().st_mode & 0o077 == 0
    assert not list(place.iterdir())


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not(place: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(place), "PYTHONPATH": str(Path(scratch.__file__).parents[1])}
    holders = [
        subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    try:
        folders = [Path(h.stdout.readline().strip()) for h in holders if h.stdout is not None]
        (place / "qnb-of-another").mkdir()
        holders[0].send_signal(signal.SIGKILL)
        holders[0].wait()
        assert sorted(place.iterdir()) == sorted([*folders, place / "qnb-of-another"])
        with scratch_folder():
            assert not folders[0].exists()
            assert (folders[1] / "model").exists()
    finally:
        for holder in holders:
            with holder:
                holder.kill()
