"""What every test shares: where the real data is, and a home that no test leaves traces in."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("QNB_SHARED", ROOT.parent / "shared"))


def pytest_configure(config: pytest.Config) -> None:
    """Give worker processes of the tests one place for caches, outside the user's own."""
    from hypothesis import settings

    # The suite decides on the same examples each time; HYPOTHESIS_PROFILE=explore looks for new ones.
    settings.register_profile("steady", derandomize=True, deadline=None)
    settings.register_profile("explore", derandomize=False, max_examples=1000, deadline=None)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
    os.environ.setdefault("QNB_CACHE_DIR", str(ROOT / ".pytest_qnb_cache"))
    os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")
    import qnb  # noqa: F401 - says how OpenMP's threads wait, before a test loads a library that uses it

    if os.environ.get("VIRTUAL_ENV") != sys.prefix:  # IPython warns of another environment that is active in the shell
        os.environ.pop("VIRTUAL_ENV", None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and golden results; tests that ask for it skip where it is absent."""
    if not (SHARED / "data" / "cn_data").is_dir():
        pytest.skip(f"needs the real market data in {SHARED} (set QNB_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def yardstick() -> Callable[[], float]:
    """Seconds that a fixed piece of work takes here and now; 0.01 on an idle machine of 2023.

    No test holds anything to a number of seconds: how long it may take is a multiple of this, measured beside it, so
    that a slower machine, or one on which other tests run, is held to the same.
    """
    return _yardstick


def _yardstick() -> float:
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        for start in range(14):
            rows = [{"name": f"run {k}", "value": k / 7, "tags": ["a", str(k)]} for k in range(start, start + 200)]
            assert json.loads(json.dumps(rows)) == sorted(rows, key=lambda row: row["value"])
            sum(k * k for k in range(2000))
        seconds.append(time.perf_counter() - began)
    return max(seconds)


@pytest.fixture(scope="session")
def cn_data(shared: Path) -> Path:
    """The real market data store."""
    return shared / "data" / "cn_data"


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    """The peer's own results on the real data."""
    return shared / "golden"
