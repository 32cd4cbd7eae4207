"""Paths inside of a project's folder, wherever it lies; folders that do not come back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnb.errors import QnbError
from qnb.project import Anchor, GoneError, is_gone, make_folder, used, with_place, without_place
from qnb.recorder.uris import artifacts_beside

WAS, NOW = Path("/home/anna/p"), Path("/data/new place/q")
PATHS = [
    "/home/anna/p", "/home/anna/p/net.py", "/home/anna/p/ops.py:Mine", "sqlite:////home/anna/p/m.db", "file:///home/anna/p/m",
    "mlflow+sqlite:////home/anna/p/m.db", "market: /home/anna/p/data\nmodel: '/home/anna/p'\n",
]  # fmt: skip
OTHERS = [
    "/home/anna/pa",
    "/home/anna/p.old/x",
    "/backup/home/anna/p/x",
    "net.py",
    "a/home/anna/p",
    "https://h/home/anna",
]


@pytest.mark.parametrize("path", PATHS)
def test_paths_inside_are_kept_without_their_place_and_read_with_the_present_one(path: str) -> None:
    kept = without_place({"a": [path, 5, None]}, WAS)
    assert str(WAS) not in str(kept)
    assert with_place(kept, WAS) == {"a": [path, 5, None]}
    assert with_place(kept, NOW) == {"a": [path.replace(str(WAS), str(NOW)), 5, None]}
    assert with_place({"a": path}, NOW, was=str(WAS)) == {"a": path.replace(str(WAS), str(NOW))}


@pytest.mark.parametrize("path", OTHERS)
def test_other_texts_stay(path: str) -> None:
    assert without_place(path, WAS) == path
    assert with_place(path, NOW, was=str(WAS)) == path


@given(st.text(alphabet="/p <>ob:\n", max_size=30))
def test_a_project_that_was_not_moved_reads_what_was_written(text: str) -> None:
    if "<project>" not in text:
        assert with_place(without_place(text, Path("/b/p")), Path("/b/p")) == text


@pytest.mark.parametrize("was", [None, 5, [], "", ".", "/", "relative"])
def test_what_is_no_place_moves_nothing(was: object) -> None:
    assert with_place(["/x", "."], NOW, was=was) == ["/x", "."]


def test_a_project_that_was_used_and_is_gone_does_not_come_back(tmp_path: Path) -> None:
    project = tmp_path / "p"
    assert make_folder(project / "a" / "b").is_dir()
    used(project)
    shutil.rmtree(project / "a")
    assert make_folder(project / "a").is_dir()
    project.rename(tmp_path / "q")
    for folder in (project, project / "a" / "b"):
        with pytest.raises(GoneError, match=r"p is gone: it was moved, renamed or removed") as caught:
            make_folder(folder)
        assert isinstance(caught.value, QnbError)
        assert isinstance(caught.value, FileNotFoundError)
    assert not project.exists()
    make_folder(tmp_path / "pa")
    project.mkdir()
    assert make_folder(project / "a").is_dir()


def test_a_folder_is_found_where_it_was_moved(tmp_path: Path) -> None:
    folder = tmp_path / "p" / "run"
    folder.mkdir(parents=True)
    with Anchor(folder) as anchor:
        assert not anchor.is_gone
        assert anchor.find() == folder
        (tmp_path / "p").rename(tmp_path / "q")
        assert anchor.is_gone
        assert anchor.find() == tmp_path / "q" / "run"
        folder.mkdir(parents=True)  # another one in its place
        assert anchor.is_gone
        shutil.rmtree(tmp_path / "q")
        assert anchor.find() is None
    assert anchor.find() is None
    assert not is_gone(folder)
    assert is_gone(folder / "file")


def test_artifacts_are_found_beside_a_store_that_was_moved(tmp_path: Path) -> None:
    def place(project: str, make: bool = True) -> Path:
        folder = tmp_path / project / "mlruns" / "1" / "abc" / "artifacts"
        if make:
            folder.mkdir(parents=True)
        return folder

    new = place("new")
    store = tmp_path / "new" / "mlflow.db"
    assert artifacts_beside(store, str(new)) == str(new)
    assert artifacts_beside(store, str(place("old", make=False))) == str(new)
    assert artifacts_beside(store, place("old", make=False).as_uri()) == str(new)
    assert artifacts_beside(store, str(place("copied"))) == str(new)
    shared = tmp_path / "copied" / "mlruns" / "2" / "x"
    assert artifacts_beside(store, str(shared)) == str(shared), "kept elsewhere from the beginning"
    for elsewhere in ("s3://bucket/mlruns/1", "/data/artifacts/1", "", os.sep):
        assert artifacts_beside(store, elsewhere) == elsewhere
