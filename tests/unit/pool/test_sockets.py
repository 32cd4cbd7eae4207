"""Folders of sockets in the temporary folder go when nobody listens there any more, whoever left them."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from pathlib import Path

import pytest

from qnb.pool.backends.kernel import STARTING, sweep


def test_folders_of_sockets_that_nobody_listens_to_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    base = Path(tempfile.mkdtemp(prefix="qs"))  # pytest's own folders are too long for the path of a socket
    monkeypatch.setattr(tempfile, "tempdir", str(base))
    try:
        folders = [Path(tempfile.mkdtemp(prefix="qnb-")) for _ in range(5)]
        dead, alive, starting, empty, other = folders
        (other / "packages.txt").write_text("what somebody downloaded")
        os.utime(empty, (0, time.time() - 2 * STARTING))
        elsewhere = base / "qnb-scratch-abcdefgh"
        elsewhere.mkdir()
        with socket.socket(socket.AF_UNIX) as ended, socket.socket(socket.AF_UNIX) as listening:
            for sock, folder in ((ended, dead), (listening, alive)):
                sock.bind(str(folder / "k-1"))
                sock.listen()
            ended.close()
            assert sweep(base / "workers") == []
            assert {p.name for p in base.iterdir()} == {p.name for p in (alive, starting, other, elsewhere)}
        sweep(base / "workers")
        assert not alive.exists()
    finally:
        shutil.rmtree(base)
