"""The owner's side of the fork server: what it is told of workers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qnb.machine import process_id
from qnb.pool.forks import Forked, ForkServer, can_fork, worker_environment

pytestmark = pytest.mark.skipif(not can_fork(), reason="needs a system where workers are forked")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ForkServer]:
    server = ForkServer(tmp_path / "log", cwd=tmp_path, env=worker_environment())
    yield server
    server._process.kill()
    server.close()


def started(server: ForkServer, number: int, pid: int) -> Forked:
    server._asked.add(number)
    server._hear({"started": number, "pid": pid, "began": process_id(pid).began})
    worker = server._answers.pop(number)["worker"]
    assert isinstance(worker, Forked)
    return worker


def test_number_of_an_ended_worker_is_given_to_another_one(server: ForkServer) -> None:
    before = started(server, 1, os.getpid())
    server._hear({"ended": os.getpid(), "code": -9})
    assert before.ended
    assert before.exit_code == -9
    after = started(server, 2, os.getpid())
    assert not after.ended
    assert after.exit_code is None
    assert not after.wait(0)
    server._hear({"ended": os.getpid(), "code": 0})
    assert after.wait(0)
    assert (before.exit_code, after.exit_code) == (-9, 0)
    assert not server._workers


def test_worker_that_comes_after_its_asker_gave_up_is_ended(server: ForkServer) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as late:
        server._hear({"started": 1, "pid": late.pid, "began": process_id(late.pid).began})
        assert late.wait(60) == -9
    assert not server._answers
