"""Every tracking store keeps what it is given, finds it again, and tells how a run ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.errors import RecorderError
from qnb.recorder.facade import RecorderFacade


@pytest.fixture(scope="module", params=["sqlite", "memory"])
def uri(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store that the tests of this module share."""
    if request.param == "memory":
        return "memory:conformance"
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture
def recording(uri: str) -> Iterator[RecorderFacade]:
    """A facade on that store."""
    facade = RecorderFacade()
    with facade.uri_context(uri):
        yield facade


def frame() -> pd.DataFrame:
    """Predictions of two instruments on three days."""
    index = pd.MultiIndex.from_product(
        [pd.date_range("2020-01-01", periods=3), ["A", "B"]], names=["datetime", "instrument"]
    )
    return pd.DataFrame({"score": np.arange(6, dtype="float32")}, index=index)


def test_a_run_goes_from_running_to_finished(recording: RecorderFacade) -> None:
    with recording.start(experiment_name="e", recorder_name="r"):
        recorder = recording.get_recorder()
        assert recorder.status == "RUNNING"
        recording.log_params(rate=0.1)
        recording.log_metrics(step=1, loss=0.5)
        recording.log_metrics(step=2, loss=0.25)
        recording.set_tags(market="demo")
    assert recorder.status == "FINISHED"
    assert recorder.end_time is not None
    again = recording.get_recorder(experiment_name="e", recorder_name="r")
    assert again.id == recorder.id
    assert again.list_params()["rate"] == "0.1"
    assert again.list_metrics()["loss"] == 0.25
    assert again.metric_history("loss") == [(1, 0.5), (2, 0.25)]
    assert again.list_tags()["market"] == "demo"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_fails_the_run_and_loses_nothing(recording: RecorderFacade, error: type[BaseException]) -> None:
    recorder: Any = None

    def fail() -> None:
        nonlocal recorder
        with recording.start(experiment_name="e"):
            recorder = recording.get_recorder()
            for step in range(50):
                recording.log_metrics(step=step, loss=float(step))
            raise error

    with pytest.raises(error):
        fail()
    assert recorder.status == "FAILED"
    assert len(recorder.metric_history("loss")) == 50


def test_runs_nest_and_resume(recording: RecorderFacade) -> None:
    with recording.start(experiment_name="nest", recorder_name="outer"):
        outer = recording.get_recorder()
        with recording.start(experiment_name="nest", recorder_name="inner"):
            inner = recording.get_recorder()
        assert recording.get_recorder().id == outer.id
    assert inner.list_tags()["mlflow.parentRunId"] == outer.id
    with recording.start(experiment_name="nest", recorder_id=inner.id, resume=True):
        assert recording.get_recorder().id == inner.id
        recording.log_metrics(after=1.0)
    assert inner.list_metrics()["after"] == 1.0


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("pred.pkl", frame(), "pred.parquet"),
        ("series.pkl", frame()["score"], "series.parquet"),
        ("unnamed", pd.Series([1.0, np.nan]), "unnamed.parquet"),
        ("wide", pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("b", 3)])), "wide.parquet"),
        ("twice", pd.DataFrame([[1, 2]], columns=["a", "a"]), "twice.parquet"),
        ("settings.json", {"a": [1, 2.5, None, "ü"]}, "settings.json"),
        ("array", np.arange(3, dtype="float32"), "array.npy"),
        ("note.txt", "text ü", "note.txt"),
        ("raw", b"\x00\x01", "raw.bin"),
        ("pair", (1, 2), "pair.pkl"),
    ],
)
def test_an_object_comes_back_as_it_was(recording: RecorderFacade, name: str, value: Any, stored: str) -> None:
    with recording.start(experiment_name="objects"):
        recording.save_objects(artifact_path="folder", **{name: value})
        recorder = recording.get_recorder()
        back = recording.load_object(f"folder/{name}")
    assert f"folder/{stored}" in recorder.list_artifacts("folder")
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(back, value)
    elif isinstance(value, pd.Series):
        pd.testing.assert_series_equal(back, value)
    elif isinstance(value, np.ndarray):
        np.testing.assert_array_equal(back, value)
    else:
        assert back == value


def test_a_missing_artifact_is_answered_with_the_nearest(recording: RecorderFacade) -> None:
    with recording.start(experiment_name="objects"):
        recording.save_objects(**{"pred.pkl": frame()})
        with pytest.raises(RecorderError, match=r"pred\.parquet"):
            recording.load_object("predd.parquet")


def test_params_keep_their_full_length(recording: RecorderFacade) -> None:
    text = "x" * 20_000
    with recording.start(experiment_name="long"):
        recorder = recording.get_recorder()
        recording.log_params(fields=text, short=1)
    assert recorder.list_params()["fields"] == text
    assert recorder.list_params()["short"] == "1"


def test_search_speaks_mlflows_grammar(recording: RecorderFacade) -> None:
    for ic in (0.01, 0.05):
        with recording.start(experiment_name="search", recorder_name=f"ic{ic}"):
            recording.log_metrics(IC=ic)
            recording.set_tags(market="csi300")
    experiment = recording.get_exp(experiment_name="search")
    found = recording.search_records([experiment.id], "metrics.IC > 0.04 and tags.market = 'csi300'")
    assert list(found["metrics.IC"]) == [0.05]
    assert len(experiment.list_recorders()) == 2
    assert len(experiment.list_recorders(status="FINISHED", rtype="list")) == 2


def test_tags_runs_and_experiments_can_be_deleted(recording: RecorderFacade) -> None:
    with recording.start(experiment_name="gone", recorder_name="r"):
        recorder = recording.get_recorder()
        recording.set_tags(a="1")
        recorder.delete_tags("a")
    assert "a" not in recorder.list_tags()
    experiment = recording.get_exp(experiment_name="gone")
    experiment.delete_recorder(recorder_name="r")
    assert experiment.list_recorders() == {}
    recording.delete_exp(experiment_name="gone")
    assert "gone" not in recording.list_experiments()
    with recording.start(experiment_name="gone"):
        pass
    assert "gone" in recording.list_experiments()


def test_files_and_folders_are_kept(recording: RecorderFacade, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.txt").write_text("w")
    with recording.start(experiment_name="files"):
        recording.log_artifact(tmp_path / "model", "kept")
        recorder = recording.get_recorder()
        assert recorder.list_artifacts("kept/model") == ["kept/model/weights.txt"]
        copied = recorder.download_artifact("kept/model/weights.txt", tmp_path / "copy")
    assert Path(copied).read_text() == "w"


@pytest.mark.parametrize(
    "call",
    [
        lambda r: r.load_object("a"),
        lambda r: r.get_recorder(),
        lambda r: r.get_recorder(experiment_name="never", recorder_name="x"),
        lambda r: r.get_exp(experiment_name="never", create=False),
        lambda r: r.delete_exp(),
    ],
)
def test_a_call_that_makes_no_sense_says_so(recording: RecorderFacade, call: Any) -> None:
    with pytest.raises(RecorderError):
        call(recording)


def test_nothing_is_changed_below_an_active_run(recording: RecorderFacade) -> None:
    with recording.start(experiment_name="e", recorder_name="busy"), pytest.raises(RecorderError, match="busy"):
        recording.set_uri("memory:other")


def test_the_environment_is_recorded_without_secrets(
    recording: RecorderFacade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QNB_NOTE", "postgresql://me:hunter2@host/db")
    monkeypatch.setenv("QNB_API_TOKEN", "hunter2")
    with recording.start(experiment_name="env"):
        recorder = recording.get_recorder()
    params = recorder.list_params()
    assert params["QNB_NOTE"] == "postgresql://me:***@host/db"
    assert params["QNB_API_TOKEN"] == "***"
    assert params["cmd-sys.argv"]
    assert "hunter2" not in json.dumps([params, recorder.list_tags()])
    assert recorder.list_tags()["qnb.host"]
    assert "numpy==" in recorder.load_object("packages.txt")
