"""What a run tells about its surroundings, and what it never tells."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from qnb.recorder.environment import environment_files, environment_params, environment_tags


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
    (tmp_path / "a.py").write_text("a = 'ü'\nuri = 'http://me:hunter2@h'\n")
    (tmp_path / "b.py").write_text("b = 2\n")
    git("add", "b.py")
    return tmp_path


def test_uncommitted_code_is_recorded(tree: Path) -> None:
    texts, commit = environment_files(tree)
    assert "+a = 'ü'" in texts["code_diff.txt"]
    assert "+b = 2" in texts["code_cached.txt"]
    assert "a.py" in texts["code_status.txt"]
    assert len(commit) == 40
    assert "hunter2" not in "".join(texts.values())


def test_outside_a_git_tree_nothing_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    texts, commit = environment_files(tmp_path)
    assert list(texts) == ["packages.txt"]
    assert commit == ""
    assert capfd.readouterr() == ("", "")


def test_without_git_nothing_is_said(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert list(environment_files(tree)[0]) == ["packages.txt"]


def test_packages_have_their_versions(tmp_path: Path) -> None:
    import numpy as np

    assert f"numpy=={np.__version__}\n" in environment_files(tmp_path)[0]["packages.txt"]


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNB_RECORDER_URI", "postgresql://me:hunter2@db/t")
    monkeypatch.setenv("QNB_DATA_TOKEN", "hunter2")
    monkeypatch.setenv("QNB_THREADS", "2")
    monkeypatch.setattr(
        "sys.argv", ["run.py", "--uri", "http://me:hunter2@h", "--token=hunter2", "--api-key", "hunter2"]
    )
    params = environment_params()
    assert params["QNB_THREADS"] == "2"
    assert params["QNB_RECORDER_URI"] == "postgresql://me:***@db/t"
    assert params["cmd-sys.argv"] == "run.py --uri http://me:***@h --token=*** --api-key ***"
    assert "hunter2" not in str([params, environment_tags()])
