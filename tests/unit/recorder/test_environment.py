"""What a run tells about its surroundings, and what it never tells."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from qnb.config import Settings
from qnb.errors import ConfigError
from qnb.recorder.environment import environment_files, environment_params, environment_tags
from qnb.recorder.memory import MemoryStore
from qnb.recorder.recorder import Recorder
from qnb.task.spec import load_task


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A git tree with one staged and one unstaged change."""

    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e@e", *words], cwd=tmp_path, check=True, capture_output=True
        )

    git("init", "-q")
    (tmp_path / "a.py").write_text("a = 1\n")
    (tmp_path / "b.py").write_text("b = 1\n")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    (tmp_path / "a.py").write_text("a = 'ü'\nuri = 'http://me:hunter2@h'\nclient(token='hunter2')\n")
    (tmp_path / "b.py").write_text("b = 2\n")
    git("add", "b.py")
    return tmp_path


def test_uncommitted_code_is_recorded(tree: Path) -> None:
    texts, commit = environment_files(tree, code=True)
    assert "+a = 'ü'" in texts["code_diff.txt"]
    assert "+b = 2" in texts["code_cached.txt"]
    assert "a.py" in texts["code_status.txt"]
    assert len(commit) == 40
    assert "hunter2" not in "".join(texts.values())


def test_uncommitted_code_is_left_out_on_request(tree: Path) -> None:
    texts, commit = environment_files(tree, code=False)
    assert list(texts) == ["packages.txt"]
    assert len(commit) == 40


def test_uncommitted_code_stays_on_this_machine_unless_it_is_asked_for(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore("memory:code")
    try:
        experiment = store.create_experiment("e")

        def kept(uri: str, log_code: bool | None) -> bool:
            monkeypatch.setattr(store, "uri", uri)
            settings = Settings(work_dir=tree, log_code=log_code)
            recorder = Recorder(store, store.create_run(experiment, "r", tags={}), settings).start_run()
            recorder.end_run()
            assert recorder.list_tags()["mlflow.source.git.commit"]
            return "code_diff.txt" in recorder.list_artifacts()

        for uri in ("memory:x", "sqlite:////a/b.db", "mlflow+sqlite:///b.db"):
            assert kept(uri, None)
            assert not kept(uri, False)
        for uri in ("http://h:5000", "postgresql://h/d", "databricks"):
            assert not kept(uri, None)
            assert kept(uri, True)
    finally:
        store.close()


def test_the_setting_and_its_ways_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.from_env().log_code is None
    for word, value in (("true", True), ("FALSE", False), ("1", True), ("0", False)):
        monkeypatch.setenv("QNB_LOG_CODE", word)
        assert Settings.from_env().log_code is value
    monkeypatch.setenv("QNB_LOG_CODE", "perhaps")
    with pytest.raises(ConfigError, match="log_code must be true or false, received 'perhaps'"):
        Settings.from_env()
    task = load_task("qlib_init: {log_code: false}\nmodel: linear\n")
    assert task.settings["log_code"] is False
    assert Settings.from_json(Settings(log_code=False).to_json()).log_code is False
    with pytest.raises(ConfigError, match="line 1: log_code must be true or false, received 'no'"):
        load_task("qlib_init: {log_code: no}\nmodel: linear\n")


def test_outside_a_git_tree_nothing_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    texts, commit = environment_files(tmp_path, code=True)
    assert list(texts) == ["packages.txt"]
    assert commit == ""
    assert capfd.readouterr() == ("", "")


def test_without_git_nothing_is_said(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert list(environment_files(tree, code=True)[0]) == ["packages.txt"]


def test_packages_have_their_versions(tmp_path: Path) -> None:
    import numpy as np

    assert f"numpy=={np.__version__}\n" in environment_files(tmp_path, code=True)[0]["packages.txt"]


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNB_RECORDER_URI", "postgresql://me:hunter2@db/t")
    monkeypatch.setenv("QNB_DATA_TOKEN", "hunter2")
    monkeypatch.setenv("QNB_THREADS", "2")
    monkeypatch.setattr(
        "sys.argv",
        [
            "run.py",
            "--uri",
            "http://me:hunter2@h",
            "--token=hunter2",
            "--api-key",
            "hunter2 two",
            "--set",
            "task.model.kwargs.password=hunter2 and more",
            "--set",
            "x={token: hunter2}",
            "--tokenizer",
            "bert",
        ],
    )
    params = environment_params()
    assert params["QNB_THREADS"] == "2"
    assert params["QNB_RECORDER_URI"] == "postgresql://me:***@db/t"
    assert params["cmd-sys.argv"] == (
        "run.py --uri http://me:***@h --token=*** --api-key *** --set task.model.kwargs.password=*** "
        "--set x={token: *** --tokenizer bert"
    )
    assert "hunter2" not in str([params, environment_tags()])
