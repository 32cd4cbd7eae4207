"""A few rounds of each kind; ``QNB_CHAOS_ROUNDS=20`` plays so many of each, ``python -m tests.chaos`` the long form."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from .play import play
from .rounds import Round, make_rounds

ROUNDS = int(os.environ.get("QNB_CHAOS_ROUNDS", "2"))
SEED = int(os.environ.get("QNB_CHAOS_SEED", "1"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


@pytest.mark.parametrize("played", make_rounds(ROUNDS, SEED, only="plain"), ids=lambda r: f"{r.number}-{r.victim}")
def test_nothing_is_lost_and_nothing_is_left_after_a_kill(played: Round) -> None:
    base = Path(tempfile.mkdtemp(prefix="chaos-"))  # shorter than pytest's own, as socket paths must be
    outcome = play(played, base, None)
    print(outcome.line)
    assert not outcome.faults, f"{outcome.line}\nkept in {base}"
    shutil.rmtree(base, ignore_errors=True)
