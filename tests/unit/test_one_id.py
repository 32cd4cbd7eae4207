"""A run has one id wherever it is shown; it is found by it, by its start, and by the id that a store of others gave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qnb import config
from qnb.config import Settings
from qnb.errors import UnknownNameError
from qnb.execution.worker import Place, execute_run
from qnb.handle import RunHandle
from qnb.panels.browser_rows import Rows
from qnb.recorder import R
from qnb.recorder.query import find_run, list_runs
from qnb.run_ids import only_with_id
from qnb.rundir import create_run, find_run_dir
from qnb.session import Session
from qnb.summary import print_run, print_runs
from qnb.task.spec import load_task

MODEL = """
class Tiny:
    def fit(self, dataset): ...
    def predict(self, dataset, segment="test"): ...

class Data:
    segments = {}
    def prepare(self, segments, **kwargs): ...
"""
TASK = """
task:
  model: {class: Tiny, module_path: tiny.py}
  dataset: {class: Data, module_path: tiny.py}
  record: []
"""


@pytest.fixture(params=["sqlite:///mlflow.db", pytest.param("mlflow+sqlite:///m.db", marks=pytest.mark.slow)])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunHandle]:
    """A finished run, in our own store and in one that MLflow writes, which chooses the ids."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(MODEL)
    before = config.current_settings()
    settings = config.use_settings(Settings().with_(work_dir=tmp_path, recorder_uri=request.param))
    directory = create_run(load_task(TASK, base_dir=tmp_path), settings, name="tiny")
    result = execute_run(directory, place=Place(alone=True))
    assert result["status"] == "finished", result
    yield RunHandle(directory)
    config.use_settings(before)


def test_every_view_shows_it_and_takes_it(run: RunHandle, capsys: pytest.CaptureFixture[str]) -> None:
    settings = config.current_settings()
    kept = run.directory.recorder()
    assert kept is not None
    recorded, own = kept[0], run.run_id
    assert (recorded == own) is settings.recorder_uri.startswith("sqlite"), "where the store takes it, the same"
    assert run.recorder.id == recorded

    print_runs(settings, experiment=None, filter_string="", limit=5)
    assert f" {own[:6]} " in capsys.readouterr().out
    [info] = list_runs(settings.tracking_uri)
    assert (info.run_id, info.shown_id) == (recorded, own)
    assert Rows(settings.runs_dir, lambda _: info).row(info, ["run_id"])["cells"] == {"run_id": f"{own[:7]}…"}
    for ref in (own, own[:4], recorded, recorded[:6], "tiny"):
        assert print_run(settings, ref, log=False, config=False) == 0
        assert capsys.readouterr().out.startswith(f"tiny  finished  Experiment / {own}\n")
        assert find_run(settings.tracking_uri, ref).run_id == recorded
        assert Session(settings).find(ref).run_id == own
    for ref in (own, recorded):
        assert R.get_recorder(recorder_id=ref).id == recorded
    with pytest.raises(UnknownNameError, match=f"no run {own[:3]!r}; of an id give 4 characters or more"):
        find_run_dir(settings.runs_dir, own[:3])


def test_the_start_of_an_id_is_told_when_it_is_not_enough() -> None:
    ids = [("a", ("0123aa", "")), ("b", ("0123bb", "77777"))]
    assert only_with_id("7777", ids, names=()) == "b"
    with pytest.raises(UnknownNameError, match="2 ids start like that; give more characters"):
        only_with_id("0123", ids, names=())
    with pytest.raises(UnknownNameError, match="of an id give 4 characters or more"):
        only_with_id("777", ids, names=())
    with pytest.raises(UnknownNameError, match="did you mean 'last'"):
        only_with_id("lats", ids, names=["last"])


def test_a_tag_that_is_no_id_or_taken_leaves_the_id_to_the_store(tmp_path: Path) -> None:
    from qnb.recorder.stores import open_store

    store = open_store("memory:ids")
    experiment = store.create_experiment("e")
    first, again, path = (
        store.create_run(experiment, "x", tags={"qnb.run_id": i}).run_id
        for i in ("0123456789ab", "0123456789ab", "../x")
    )
    assert first == "0123456789ab"
    assert len({first, again, path}) == 3
    assert len(again) == len(path) == 32
