"""A real PostgreSQL server for the tests that keep runs or studies there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .postgres import missing, own_server


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A server of our own on a free port, with a password; the address of an empty database."""
    if missing():
        pytest.skip(missing())
    with own_server() as server:
        yield server.create("mlflow")
