"""A few rounds of each kind; ``QNB_CHAOS_ROUNDS=20`` plays so many of each, ``python -m tests.chaos`` the long form."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import disk, server
from .play import play
from .rounds import Round, make_rounds
from .server import Database

ROUNDS = int(os.environ.get("QNB_CHAOS_ROUNDS", "2"))
SEED = int(os.environ.get("QNB_CHAOS_SEED", "1"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    """A server that can be stopped."""
    if server.missing():
        pytest.skip(server.missing())
    with Database.running() as database:
        yield database


def rounds_of(kind: str) -> pytest.MarkDecorator:
    rounds = make_rounds(ROUNDS, SEED, only=kind)
    return pytest.mark.parametrize("played", rounds, ids=lambda r: f"{r.number}-{r.victim.replace(' ', '_')}")


@rounds_of("plain")
def test_nothing_is_lost_and_nothing_is_left_after_a_kill(played: Round) -> None:
    _play(played)


@rounds_of("disk")
@pytest.mark.skipif(bool(disk.missing()), reason=disk.missing())
def test_nothing_is_lost_on_a_disk_that_fills_up_and_is_freed(played: Round) -> None:
    _play(played)


@rounds_of("database")
def test_nothing_is_lost_with_a_database_that_goes_and_comes_back(played: Round, database: Database) -> None:
    _play(played, database)


def _play(played: Round, database: Database | None = None) -> None:
    base = Path(tempfile.mkdtemp(prefix="chaos-"))  # shorter than pytest's own, as socket paths must be
    outcome = play(played, base, database)
    print(outcome.line)
    assert not outcome.faults, f"{outcome.line}\nkept in {base}"
    shutil.rmtree(base, ignore_errors=True)
