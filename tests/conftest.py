"""What every test shares: where the real data is, and a home that no test leaves traces in."""

from __future__ import annotations

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
    settings.register_profile("steady", derandomize=True)
    settings.register_profile("explore", derandomize=False, max_examples=1000, deadline=None)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
    os.environ.setdefault("QNB_CACHE_DIR", str(ROOT / ".pytest_qnb_cache"))
    os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")
    # several test processes share the cores: threads that wait must sleep, not spin
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if os.environ.get("VIRTUAL_ENV") != sys.prefix:  # IPython warns of another environment that is active in the shell
        os.environ.pop("VIRTUAL_ENV", None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and golden results; tests that ask for it skip where it is absent."""
    if not (SHARED / "data" / "cn_data").is_dir():
        pytest.skip(f"needs the real market data in {SHARED} (set QNB_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def crowding() -> Callable[[], float]:
    """How many times longer than on an idle core things take just now; 1 on an idle machine.

    A limit in seconds that a test measures is multiplied with it: what is promised is promised of a machine that has
    nothing else to do, and the other tests run beside this one.
    """
    return _crowding


def _crowding() -> float:
    ratios = []
    for _ in range(5):
        began, worked = time.perf_counter(), time.thread_time()
        while time.thread_time() - worked < 0.02:
            sum(range(2000))
        ratios.append((time.perf_counter() - began) / 0.02)
    return max(1.0, *sorted(ratios)[2:])


@pytest.fixture(scope="session")
def cn_data(shared: Path) -> Path:
    """The real market data store."""
    return shared / "data" / "cn_data"


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    """The peer's own results on the real data."""
    return shared / "golden"
