"""Passwords never survive in what is shown or recorded; places of URIs are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from qnb.recorder.uris import address_of, local_path, sqlite_path
from qnb.secrets import masked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://anna:geheim@db:5432/t", "postgresql://anna:***@db:5432/t"),
        ("postgresql+psycopg2://anna:ge%40heim@db/t", "postgresql+psycopg2://anna:***@db/t"),
        ("https://:token@host/", "https://:***@host/"),
        ("a http://u:p@h and mysql://v:q@i/x b", "a http://u:***@h and mysql://v:***@i/x b"),
        ("http://host:5000/path", "http://host:5000/path"),
        ("http://user@host/path", "http://user@host/path"),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
        ("12:30@noon", "12:30@noon"),
    ],
)
def test_passwords_in_uris_are_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text", ["run --token=hunter2", "run --api-key hunter2", "AWS_SECRET_ACCESS_KEY=hunter2", "password: hunter2"]
)
def test_arguments_named_like_secrets_are_masked(text: str) -> None:
    assert "hunter2" not in masked(text, arguments=True)
    assert "hunter2" in masked(text)


def test_places() -> None:
    assert sqlite_path("sqlite:////a/b.db?timeout=3") == Path("/a/b.db")
    assert sqlite_path("sqlite:///b.db") == Path.cwd() / "b.db"
    assert sqlite_path("sqlite:///:memory:") is None
    assert sqlite_path("postgresql://h/d") is None
    assert local_path("/a/b c") == Path("/a/b c")
    assert local_path("file:///a/b%20c") == Path("/a/b c")
    assert local_path("s3://bucket/a") is None
    assert local_path("mlflow-artifacts:/1/a") is None
    assert local_path("") is None
    assert address_of("https://h.example") == ("h.example", 443)
    assert address_of("postgresql+psycopg2://u:p@h:1/d") == ("h", 1)
    assert address_of("sqlite:///a.db") is None
    assert address_of("databricks") is None
