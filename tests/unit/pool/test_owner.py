"""The owner of the pool, in this process: what it does with tickets."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from qnb.pool.owner import Owner
from qnb.pool.place import Place
from qnb.pool.tickets import Ticket


@pytest.fixture
def quick_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
def test_runs_that_end_while_the_owner_looks_at_its_tickets(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    owner = Owner(place)
    tickets = [place.tickets.put(Ticket(f"r{i}", str(tmp_path))) for i in range(1000)]
    owner._known = {t.run_id: t for t in tickets}
    ending = threading.Thread(target=lambda: [owner._changed(t, "over") for t in tickets])
    ending.start()
    while ending.is_alive():
        assert not owner._may_end()
        owner.last_look()
    ending.join()
    assert not owner._known
    assert not place.tickets.names()
