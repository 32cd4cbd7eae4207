"""Every tracking store keeps what it is given, finds it again, and tells how a run ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb.errors import RecorderError
from qnb.recorder.facade import RecorderFacade


@pytest.fixture(scope="module", params=["sqlite", "mlflow", "memory"])
def uri(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store that the tests of this module share: written directly, through MLflow's client, in memory."""
    if request.param == "memory":
        return "memory:conformance"
    head = "mlflow+" if request.param == "mlflow" else ""
    return f"{head}sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


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


def test_the_last_value_is_the_last_that_was_logged(recording: RecorderFacade) -> None:
    with recording.start(experiment_name="order"):
        for value in (5.0, 1.0, 3.0):
            recording.log_metrics(loss=value)
        recorder = recording.get_recorder()
        assert recorder.list_metrics()["loss"] == 3.0, "what is read while the run goes on is what was logged"
    assert [v for _, v in recorder.metric_history("loss")] == [5.0, 1.0, 3.0]


def test_nan_and_infinities_are_kept(recording: RecorderFacade) -> None:
    with recording.start(experiment_name="odd numbers"):
        recording.log_metrics(a=float("nan"), b=np.float32(0.5), c=float("-inf"), d=np.int64(3))
        recorder = recording.get_recorder()
    found = recorder.list_metrics()
    assert np.isnan(found["a"])
    assert found["b"] == 0.5
    assert found["c"] < -1e308
    assert found["d"] == 3.0


def test_a_tag_that_is_set_deleted_and_set_again_is_there(recording: RecorderFacade) -> None:
    with recording.start(experiment_name="tags"):
        recorder = recording.get_recorder()
        recorder.set_tags(kept="1", gone="1")
        recorder.delete_tags("kept", "gone", "never there")
        recorder.set_tags(kept="2")
    tags = recorder.list_tags()
    assert tags["kept"] == "2"
    assert "gone" not in tags


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: r.log_metrics(a="much"), "must be a number"),
        (lambda r: r.save_objects(**{"../../evil": 1}), "within the run"),
        (lambda r: r.save_objects("/nowhere/at/all"), "no file"),
        (lambda r: r.save_objects("a", b=1), "not both"),
        (lambda r: r.load_object("/etc/passwd"), "within the run"),
        (lambda r: r.log_artifact("/nowhere/at/all"), "no file"),
        (lambda r: r.end_run("DONE"), "no status 'DONE'"),
    ],
)
def test_what_a_run_refuses_is_told_at_the_call(recording: RecorderFacade, call: Any, words: str) -> None:
    with recording.start(experiment_name="refused"), pytest.raises(RecorderError, match=words):
        call(recording.get_recorder())


def test_names_that_mlflow_does_not_take_are_recorded_all_the_same(
    recording: RecorderFacade, caplog: pytest.LogCaptureFixture
) -> None:
    with recording.start(experiment_name="names"):
        recorder = recording.get_recorder()
        for step in range(3):
            recording.log_metrics(step=step, **{"valid@IC (%)": 0.5})
        recording.log_params(**{"../a": 1, "/b//c": 2, "fields.$close": 3})
        recording.set_tags(**{"x" * 300: 1})
    assert recorder.list_metrics() == {"valid_IC ___": 0.5}
    assert {"__/a", "_/b/_/c", "fields._close"} <= set(recorder.list_params())
    assert any(len(k) == 250 and k.startswith("xxx") for k in recorder.list_tags())
    assert caplog.text.count("valid@IC") <= 1, "once is enough"


def test_params_are_written_once(recording: RecorderFacade) -> None:
    with recording.start(experiment_name="once"):
        recorder = recording.get_recorder()
        recording.log_params(rate=0.1)
        recording.log_params(rate=0.1)
        with pytest.raises(RecorderError, match=r"is '0\.1' already"):
            recording.log_params(rate=0.2)
    with recording.start(experiment_name="once", recorder_id=recorder.id, resume=True):
        with pytest.raises(RecorderError, match=r"is '0\.1' already"):
            recording.log_params(rate=0.2)
        recording.log_params(more="y" * 7000)
    with recording.start(experiment_name="once", recorder_id=recorder.id, resume=True):
        recording.log_params(most="z" * 7000)
    params = recorder.list_params()
    assert (params["rate"], len(params["more"]), len(params["most"])) == ("0.1", 7000, 7000)


def test_a_created_run_is_scheduled_until_it_is_started(recording: RecorderFacade) -> None:
    experiment = recording.get_exp(experiment_name="scheduled")
    recorder = experiment.create_recorder("later")
    assert recorder.status == "SCHEDULED"
    assert list(experiment.list_recorders(status="SCHEDULED")) == [recorder.id]
    recorder.log_params(early=1)
    recorder.start_run()
    assert recorder.status == "RUNNING"
    recorder.end_run("FAILED")
    assert recorder.info["status"] == "FAILED"
    assert recorder.list_params()["early"] == "1"


def test_resuming(recording: RecorderFacade) -> None:
    with recording.start(experiment_name="resume", recorder_name="one") as experiment:
        first = recording.get_recorder()
        assert experiment.active_recorder is first
    with recording.start(experiment_name="resume", recorder_name="one", resume=True):
        assert recording.get_recorder().id == first.id
        assert recording.get_recorder().status == "RUNNING"
        assert recording.get_recorder().end_time is None
    with recording.start(experiment_name="resume", recorder_name="new", resume=True):
        assert recording.get_recorder().id != first.id
    with pytest.raises(RecorderError, match="resume=True"), recording.start(recorder_id=first.id):
        pass
    with pytest.raises(RecorderError, match="no run"), recording.start(recorder_id="0" * 32, resume=True):
        pass
    elsewhere = recording.start(experiment_name="another", recorder_id=first.id, resume=True)
    with pytest.raises(RecorderError, match="no run"), elsewhere:
        pass


def test_experiments_and_runs_are_found_by_id_and_name(recording: RecorderFacade) -> None:
    ids = []
    for _ in range(2):
        with recording.start(experiment_name="found", recorder_name="it's") as experiment:
            ids.append(recording.get_recorder().id)
        time.sleep(0.002)
    assert recording.get_exp(experiment_id=experiment.id).name == "found"
    assert recording.get_exp(experiment_name="found", create=False) == experiment
    assert recording.get_recorder(recorder_name="it's", experiment_name="found").id == ids[1], "by name the latest"
    assert recording.get_recorder(recorder_id=ids[0]).id == ids[0]
    assert list(recording.list_recorders(experiment_name="found")) == ids[::-1]
    assert experiment.info["recorders"] == ids[::-1]
    assert [r.id for r in experiment.list_recorders("list", max_results=1)] == ids[1:]
    renamed = recording.get_recorder(recorder_id=ids[0])
    renamed.set_recorder_name("other")
    assert recording.get_recorder(recorder_name="other", experiment_name="found") == renamed
    recording.delete_recorder(recorder_id=ids[1])
    assert list(experiment.list_recorders()) == ids[:1]
    assert list(experiment.search_records(run_view_type=2)["run_id"]) == ids[1:]
    assert len(experiment.search_records(run_view_type=3)) == 2


def test_an_active_run_cannot_be_deleted(recording: RecorderFacade) -> None:
    with recording.start(experiment_name="busy", recorder_name="r"):
        with pytest.raises(RecorderError, match="active"):
            recording.delete_recorder(recorder_id=recording.get_recorder().id)
        with pytest.raises(RecorderError, match="active"):
            recording.delete_exp(experiment_name="busy")


def test_artifacts_are_listed_replaced_and_found_in_place(recording: RecorderFacade, tmp_path: Path) -> None:
    with recording.start(experiment_name="artifacts"):
        recorder = recording.get_recorder()
        assert recorder.save_objects(**{"a/b/x.pkl": {"v": 1}}) == ["a/b/x.json"]
        recorder.save_objects(artifact_path="a/b", **{"x.pkl": {"v": 2}})
        (tmp_path / "one.txt").write_text("1")
        (tmp_path / "two.txt").write_text("2")
        assert recorder.save_objects(tmp_path, "texts") == ["texts/one.txt", "texts/two.txt"]
        assert recorder.list_artifacts("a/b") == ["a/b/x.json"]
        assert recorder.load_object("a/b/x.pkl") == {"v": 2}
        with pytest.raises(RecorderError, match="download_artifact"):
            recorder.load_object("texts")
    assert Path(recorder.download_artifact("a/b/x.json")).is_file()
    assert Path(recorder.get_local_dir(), "artifacts", "texts", "two.txt").read_text() == "2"
    assert recorder.artifact_dir == Path(recorder.get_local_dir(), "artifacts")
    assert recorder.list_artifacts("nothing here") == []


@pytest.mark.parametrize(
    "words",
    ["metrics.IC >", "metric IC > 1", "metrics.IC > 'a'", "params.a = 1", "attributes.colour = 'a'", "nonsense"],
)
def test_a_filter_that_cannot_be_read_is_refused(recording: RecorderFacade, words: str) -> None:
    with pytest.raises(RecorderError):
        recording.search_records([recording.get_exp(experiment_name="e").id], words)


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
