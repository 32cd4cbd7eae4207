"""What the tabs of a panel show: files and looks into them, surroundings, configuration, cells."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from qnb.config import Settings
from qnb.errors import RecorderError
from qnb.handle import RunHandle
from qnb.panels.artifacts import artifact_bytes, artifact_preview, artifact_rows
from qnb.panels.surroundings import surroundings
from qnb.panels.tabs import answer
from qnb.recorder import R
from qnb.recorder.recorder import Recorder
from qnb.rundir import RunDir, create_run
from qnb.task.spec import load_task

HOSTILE = "</script><img src=x onerror=alert(1)>"
TASK = "model: {linear: {estimator: ridge, alpha: 3.0}}\nfeatures: Alpha158\nmarket: demo\n"


@pytest.fixture
def recorder(settings: Settings) -> Recorder:
    """A run with one artifact of each kind."""
    days = pd.to_datetime(["2020-01-02", "2020-01-03"])
    index = pd.MultiIndex.from_product([days, ["A", "B"]], names=["datetime", "instrument"])
    frame = pd.DataFrame({"score": [0.123456789, np.nan, -3.0, 4e-9], "n": [1, 2, 3, 40000]}, index=index)
    with R.start(experiment_name="study", recorder_name="all"):
        R.save_objects(**{"pred.pkl": frame, "notes.txt": HOSTILE, "facts.json": {"a": [1, 2]}, "grid.npy": np.eye(3)})
        R.save_objects(**{"odd.pkl": {1, 2}, "long.pkl": pd.DataFrame({"x": range(500)})})
        R.save_objects(artifact_path="report", **{"curve.json": go.Figure(go.Scatter(y=[1, 2])).to_json()})
        return R.get_recorder()


@pytest.fixture
def handle(settings: Settings, recorder: Recorder) -> RunHandle:
    """A handle whose run is recorded in `recorder`."""
    directory: RunDir = create_run(load_task(TASK), settings, name="ridge")
    directory.write_recorder(recorder.id, "study")
    return RunHandle(directory)


def test_files_are_listed_with_sizes_each_folder_before_its_content(recorder: Recorder) -> None:
    rows = artifact_rows(recorder)
    paths = [r["path"] for r in rows]
    assert {"pred.parquet", "notes.txt", "odd.pkl", "report", "report/curve.json"} <= set(paths)
    at = paths.index("report")
    assert rows[at]["folder"]
    assert rows[at + 1] | {"size": ""} == {
        "path": "report/curve.json", "name": "curve.json", "depth": 1, "folder": False, "size": "",
    }  # fmt: skip
    assert rows[paths.index("notes.txt")]["size"] == f"{len(HOSTILE)}\u00a0B"


def test_look_into_a_table(recorder: Recorder) -> None:
    look = artifact_preview(recorder, "pred.parquet")
    assert look["columns"] == ["datetime", "instrument", "score", "n"]
    assert look["index"] == 2
    assert look["rows"][0] == ["2020-01-02", "A", "0.123457", "1"]
    assert [row[2] for row in look["rows"][1:]] == ["–", "\u22123", "4e\u221209"]
    assert look["rows"][3][3] == "40,000"
    long = artifact_preview(recorder, "long.parquet")
    assert len(long["rows"]) == 100
    assert "500 rows × 1 column" in long["note"]
    assert long["note"].endswith("here the first 100 rows")


def test_look_into_other_files(recorder: Recorder) -> None:
    assert artifact_preview(recorder, "notes.txt")["text"] == HOSTILE
    assert json.loads(artifact_preview(recorder, "facts.json")["text"]) == {"a": [1, 2]}
    assert artifact_preview(recorder, "report/curve.json")["figure"]["data"][0]["y"] == [1, 2]
    assert "3 × 3, float64" in artifact_preview(recorder, "grid.npy")["note"]
    with pytest.raises(RecorderError, match="nothing"):
        artifact_preview(recorder, "nothing.txt")


def test_no_pickle_is_opened_for_a_look(recorder: Recorder, tmp_path: Path) -> None:
    mark = tmp_path / "opened"
    bad = tmp_path / "bad.pkl"
    bad.write_bytes(b"cpathlib\nPath\n(V" + str(mark).encode() + b"\ntRp0\n(g0\nitouch\n.")
    recorder.log_artifact(str(bad))
    look = artifact_preview(recorder, "bad.pkl")
    assert look["kind"] == "note"
    assert "not opened" in look["note"]
    assert not mark.exists()


def test_file_to_be_saved(recorder: Recorder) -> None:
    assert artifact_bytes(recorder, "notes.txt") == ("notes.txt", HOSTILE.encode())
    with pytest.raises(RecorderError, match="is a folder"):
        artifact_bytes(recorder, "report")


def test_surroundings_of_a_run(handle: RunHandle) -> None:
    found = surroundings(handle)
    groups = {g["title"]: dict(g["rows"]) for g in found["groups"]}
    assert groups["Task"]["Run"] == handle.run_id
    assert groups["Data"]["Region"] == "cn"
    assert groups["Machine"]["Python"].startswith("3.")
    assert "numpy" in groups["Packages"]
    assert any("packages" in t["title"] for t in found["texts"])
    assert found["note"] == ""


def test_surroundings_without_a_recorder_say_why(settings: Settings) -> None:
    found = surroundings(RunHandle(create_run(load_task(TASK), settings, name="early")))
    assert [g["title"] for g in found["groups"]] == ["Task", "Data"]
    assert "no recorder yet" in found["note"]


def test_answers_of_the_tabs(handle: RunHandle, settings: Settings) -> None:
    content, _ = answer(handle, {"kind": "config"})
    assert ["LinearModel", "alpha", "3.0", "0.0"] in content["rows"]
    content, _ = answer(handle, {"kind": "cell"})
    assert content["text"] == f"%%qtask ridge\n{TASK}"
    content, buffers = answer(handle, {"kind": "save", "path": "notes.txt"})
    assert (content["name"], buffers) == ("notes.txt", [HOSTILE.encode()])
    assert content["run_id"] == handle.run_id


def test_live_report_travels_with_the_script_only_once(handle: RunHandle) -> None:
    assert answer(handle, {"kind": "report"}) == (
        {"kind": "report", "run_id": handle.run_id, "path": None, "html": ""}, [],
    )  # fmt: skip
    (handle.directory.path / "live.html").write_text("<p>figures</p>", encoding="utf-8")
    content, buffers = answer(handle, {"kind": "report", "plotly": False})
    assert content["html"] == "<p>figures</p>"
    assert buffers[0][:2] == b"\x1f\x8b"
    assert answer(handle, {"kind": "report", "plotly": True})[1] == []


@pytest.mark.parametrize("kind", ["save", "preview", "save_report", "nonsense"])
def test_what_cannot_be_answered_says_why(handle: RunHandle, kind: str) -> None:
    content, buffers = answer(handle, {"kind": kind, "path": "nothing"})
    assert content["error"]
    assert buffers == []
