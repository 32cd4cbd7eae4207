"""Secrets stay out of whatever is written, shown or recorded, and come back where they are needed."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from qnb.config import Settings
from qnb.errors import PoolError
from qnb.private import private_folder, strangers_hold
from qnb.rundir import RunDir, create_run
from qnb.secrets import Vault, is_secret, masked, shown
from qnb.task.spec import load_task

URI = "postgresql://anna:geheim@db:5432/tracking"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://anna:p@ss@db/t", "postgresql://anna:***@db/t"),
        ("postgresql://anna:ge/heim@db/t", "postgresql://anna:***@db/t"),
        ("http://h:5000/path?mail=a@b.c", "http://h:5000/path?mail=a@b.c"),
        ("http://h:5000", "http://h:5000"),
        ("postgresql://db/t?user=anna&password=geheim&x=1", "postgresql://db/t?user=anna&password=***&x=1"),
        ("https://h/a?api_key=geheim", "https://h/a?api_key=***"),
        ("{'token': 'geheim', 'n': 1}", "{'token': ***, 'n': 1}"),
        ('client(password="geheim")', "client(password=***)"),
        ("tokenizer = 'bert'", "tokenizer = 'bert'"),
        ("token: geheim", "token: geheim"),
    ],
)
def test_texts_are_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    ["--token geheim", "--token=geheim", "x.token=geheim", "password: geheim", "--db-password 'geheim'", "apiKey=a"],
)
def test_arguments_are_masked(text: str) -> None:
    assert masked(text, arguments=True).endswith("***")
    assert masked("the tokens of a text", arguments=True) == "the tokens of a text"


def test_masking_takes_time_in_proportion_to_the_text() -> None:
    def seconds(n: int) -> float:
        began = time.process_time()
        masked("aGVsbG8+token/" * n + "://" + "a" * n, arguments=True)
        return time.process_time() - began

    seconds(1000)
    assert seconds(40_000) < 40 * max(seconds(4_000), 1e-3)


def test_names_of_secrets() -> None:
    for name in (
        "token",
        "password",
        "model.kwargs.api_key",
        "apiKey",
        "AWS_SECRET_ACCESS_KEY",
        "db-password",
        "tokens",
    ):
        assert is_secret(name)
    for name in ("tokenizer", "token_file", "token_dim", "key", "keys", "secretary", "passes", ""):
        assert not is_secret(name)
    assert shown("a.token", "geheim") == "***"
    assert shown("max_tokens", 512) == "512"
    assert shown("password", 1234) == "***"
    assert shown("token", "secret:0123456789ab") == "secret:0123456789ab"
    assert shown("uri", URI) == "postgresql://anna:***@db:5432/tracking"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.of(tmp_path)


VALUES: dict[str, Any] = {
    "uri": URI,
    "query": "postgresql://db/t?password=geheim",
    "dsn": "host=db password=geheim",
    "token": "geheim",
    "headers": {"api_key": "geheim", "plain": "x"},
    "tokens": ["geheim", "zweites"],
    "password": 123456,
    "max_tokens": 512,
    "secret": None,
    "rates": [0.1, True, None],
    "credentials": {"user": "geheim", "pin": 12},
    "access_token": {"class": "Reader", "module_path": "mine.py", "kwargs": {"path": "x"}},
    "model": "<MODEL>",
    "text": "both https://a:geheim@h/x and mysql://b:geheim@i",
}


def test_values_are_hidden_and_come_back(vault: Vault, tmp_path: Path) -> None:
    hidden = vault.hide(VALUES)
    text = json.dumps(hidden)
    assert "geheim" not in text
    assert "123456" not in text
    assert hidden["max_tokens"] == 512
    assert hidden["access_token"] == VALUES["access_token"]
    assert hidden["uri"] == "postgresql://anna:***@db:5432/tracking"
    assert hidden["token"] == hidden["headers"]["api_key"]
    assert vault.reveal(hidden) == VALUES
    assert vault.hide(hidden) == hidden  # as when a run is tried again
    assert Vault(vault.folder).hide(VALUES) == hidden
    for path in [vault.folder, *vault.folder.iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_the_newest_password_of_a_uri_counts(vault: Vault) -> None:
    hidden = vault.hide(URI)
    assert vault.hide(URI.replace("geheim", "neu")) == hidden
    assert vault.reveal(hidden) == URI.replace("geheim", "neu")


def test_without_its_password_a_uri_asks_the_usual_places(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    shown_uri = masked(URI)
    assert vault.reveal(shown_uri) == "postgresql://anna@db:5432/tracking"
    assert vault.reveal("postgresql://db/t?password=***&x=1") == "postgresql://db/t?x=1"
    assert vault.reveal("postgresql://db/t?password=***") == "postgresql://db/t"
    monkeypatch.setenv("QNB_RECORDER_URI", URI)
    assert vault.reveal(shown_uri) == URI
    vault.hide(URI)
    for path in vault.folder.iterdir():
        path.write_text("{}")
    monkeypatch.delenv("QNB_RECORDER_URI")
    assert vault.reveal(shown_uri) == "postgresql://anna@db:5432/tracking"
    with pytest.raises(PoolError, match=r"secret:0123456789ab is not kept in .*write the secret itself"):
        vault.reveal({"token": "secret:0123456789ab"})


def test_texts_and_lines_of_a_log(vault: Vault) -> None:
    vault.hide({"token": "geheim", "password": "abc", "pin_token": 'with "quotes"'})
    clean = vault.cleaner()
    assert "geheim" not in clean("the token geheim, again: [geheim]")
    assert clean("geheimnis abc") == "geheimnis abc"
    text = "token: geheim  # mine\nuri: http://a:geheim@h\nother: {password: 'geheim'}\n"
    assert "geheim" not in vault.hide_text(text)
    assert vault.hide_text('token: "{{ TOKEN }}"') == 'token: "{{ TOKEN }}"'
    assert "quotes" not in vault.hide_text('pin_token: "with \\"quotes\\""')


def _written(folder: Path) -> str:
    kept = folder / ".qnb" / "secrets"
    files = [p for p in folder.rglob("*") if p.is_file() and not p.is_relative_to(kept)]
    return "\n".join(p.read_text("utf-8", "replace") for p in files)


def test_the_folder_of_a_run_holds_no_secret(tmp_path: Path) -> None:
    task = load_task(
        "task:\n  model: {class: LinearModel}\n  dataset: {class: Data, module_path: mine.py, kwargs: "
        f"{{token: streng-geheim, source: '{URI}'}}}}\n  record: []\n",
        base_dir=_with_data(tmp_path),
    )
    settings = Settings(work_dir=tmp_path).with_(recorder_uri=URI)
    assert "geheim" not in repr(settings)
    directory = create_run(task, settings, name="r")
    text = _written(tmp_path)
    assert "geheim" not in text.replace((tmp_path / "mine.py").read_text(), "")
    request = RunDir(directory.path).request()
    assert request.settings.tracking_uri == URI
    assert directory.revealed(request.task).document == task.document
    again = create_run(request.task, request.settings, name="again", retry_of=directory.run_id)
    assert again.revealed(again.request().task).document == task.document
    assert again.request().task.hash == request.task.hash
    assert directory.asks_for(task)
    assert not directory.asks_for(load_task("model: linear\n"))
    assert load_task(request.task.text, base_dir=tmp_path).document == request.task.document


def _with_data(folder: Path) -> Path:
    (folder / "mine.py").write_text(
        "class Data:\n    def __init__(self, token, source): ...\n    def prepare(self, segments): ...\n"
    )
    return folder


def test_folders_are_private_also_those_made_before(tmp_path: Path) -> None:
    old = tmp_path / ".qnb" / "runs" / "a"
    old.mkdir(parents=True)
    (old / "request.json").write_text("{}")
    for path in (tmp_path / ".qnb", old.parent, old):
        path.chmod(0o755)
    (old / "request.json").chmod(0o644)
    outside = tmp_path / "outside"
    outside.touch(mode=0o644)
    outside.chmod(0o644)
    (old / "link").symlink_to(outside)
    private_folder(tmp_path / ".qnb" / "pool" / "tickets")
    for path in (tmp_path / ".qnb").rglob("*"):
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE((tmp_path / ".qnb").stat().st_mode) == 0o700
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644


def test_who_could_have_written_a_file(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.touch()
    for mode, said in (
        (0o644, ""),
        (0o600, ""),
        (0o664, "can be written by others"),
        (0o602, "can be written by others"),
    ):
        file.chmod(mode)
        assert strangers_hold(file.stat()).startswith(said)
    if os.getuid() == 0:
        os.chown(file, 12345, -1)
        assert strangers_hold(file.stat()) == "belongs to another user"
