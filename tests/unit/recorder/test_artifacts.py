"""Files of a run in a folder of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from qnb.errors import RecorderError
from qnb.recorder.artifacts import files_in, keep_file
from qnb.scratch import HIDDEN


def test_what_a_killed_process_left_half_copied_goes_with_the_next_file(tmp_path: Path) -> None:
    root, source = tmp_path / "run", tmp_path / "pred"
    source.write_text("1")
    left = root / "report" / f"{HIDDEN}left"
    left.mkdir(parents=True)
    (left / "pred").write_text("half")
    keep_file(root, source, "report")
    assert [p.name for p in (root / "report").iterdir()] == ["pred"]
    assert [f.path for f in files_in(root, "report")] == ["report/pred"]


def test_folder_whose_files_cannot_be_copied_is_told_with_one_reason(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in "ab":
        (tmp_path / "model" / name).symlink_to(tmp_path / "nowhere")
    with pytest.raises(RecorderError) as caught:
        keep_file(tmp_path / "run", tmp_path / "model")
    assert "[(" not in str(caught.value)
    assert "No such file or directory" in str(caught.value)
    assert not list((tmp_path / "run").iterdir())
