"""What records say of themselves on their class: read from sources, as it is once they are imported, and in a run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import qnb
from qnb import cli, registry
from qnb.config import Settings, current_settings, use_settings
from qnb.errors import ConfigError
from qnb.panels.view import run_view
from qnb.task.records import facts_of, facts_of_class, stages_of
from qnb.task.spec import Task, load_task

OWN = """
import qnb.record_templates.portfolio_analysis as ours
from qnb.record_templates import Recorded, RecordTemplate
from qnb.record_templates.portfolio_analysis import PortAnaRecord
from abroad import Base

STAGE = "computed"

class HitRateRecord(RecordTemplate):
    needs = (("pred.pkl", "SignalRecord"),)

    def compute(self, emit):
        return Recorded({}, {"Hit rate": 0.625})

class Named(HitRateRecord):
    stage: str = "hits"
    title = "Hits & misses"

class Again(Named):
    pass

class Costly(PortAnaRecord):
    pass

class Elsewhere(ours.PortAnaRecord):
    pass

class FromAbroad(Base):
    pass

class Computed(HitRateRecord):
    stage = STAGE

class Plain:
    def generate(self):
        from qnb import R
        R.log_metrics(plain=3.5)

class Greedy(RecordTemplate):
    stage = "fit"
"""
TINY = """
import pandas as pd

class Tiny:
    def fit(self, dataset):
        pass

    def predict(self, dataset, segment="test"):
        index = pd.MultiIndex.from_product([pd.to_datetime(["2020-01-02"]), ["A"]], names=["datetime", "instrument"])
        return pd.Series([0.5], index, name="score")

class Data:
    segments = {}

    def prepare(self, segments, **wanted):
        return None
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "tiny.py").write_text(TINY)
    (tmp_path / "abroad.py").write_text("class Base:\n    stage = 'abroad'\n    needs = (('pred.pkl', ''),)\n")
    yield tmp_path
    for name in ("own", "abroad"):
        sys.modules.pop(name, None)


@pytest.fixture
def settings(folder: Path) -> Iterator[Settings]:
    before = current_settings()
    yield use_settings(Settings(work_dir=folder, recorder_uri="memory:records"))
    use_settings(before)


def task_with(folder: Path, *records: Any) -> Task:
    listed = "\n".join(f"    - {r}" for r in records)
    text = (
        "qlib_init: {provider_uri: demo, recorder_uri: 'memory:records'}\ntask:\n"
        "  model: {class: Tiny, module_path: tiny.py}\n  dataset: {class: Data, module_path: tiny.py}\n"
        f"  record:\n{listed}\n"
    )
    return load_task(text, source="cell", base_dir=folder)


@pytest.mark.parametrize("name", registry.members("record"))
def test_what_is_read_of_our_records_is_what_they_have(name: str) -> None:
    cls = registry.find("record", name)
    facts = facts_of(name)
    assert facts == facts_of_class(cls)
    assert facts.stage not in ("", name), "ours have a stage and a title of their own"
    assert facts == facts_of({"class": name, "module_path": "qlib.workflow.record_temp"})
    assert facts == facts_of(f"{cls.__module__}.{name}")
    assert facts == facts_of(registry.members("record")[name].short)


@pytest.mark.parametrize(
    ("name", "stage", "title"),
    [
        ("HitRateRecord", "HitRateRecord", "Hit rate"), ("Named", "hits", "Hits & misses"),
        ("Again", "hits", "Hits & misses"), ("Costly", "portfolio", "Portfolio"), ("Plain", "Plain", "Plain"),
        ("FromAbroad", "abroad", "Abroad"),
    ],
)  # fmt: skip
def test_own_records_have_their_own_stage(folder: Path, name: str, stage: str, title: str) -> None:
    facts = facts_of({"class": name, "module_path": "own.py"}, base_dir=str(folder))
    assert (facts.name, facts.stage, facts.title) == (name, stage, title)
    assert facts == facts_of(f"own.{name}", folders=[str(folder)])
    import own  # type: ignore[import-not-found]

    assert facts == facts_of_class(getattr(own, name))


def test_what_is_not_known_of_a_record_is_left_open(folder: Path) -> None:
    by_module = {"class": "Elsewhere", "module_path": str(folder / "own.py")}
    for config in (by_module, "no.such.Thing", "Nothing", "own.Gone"):
        name = str(config["class"] if isinstance(config, dict) else config).rpartition(".")[2]
        facts = facts_of(config)
        assert (facts.stage, facts.needs, facts.trades) == (name, (), False)
    assert facts_of({"kwargs": {}}).stage == ""


def test_stages_are_in_the_order_of_the_records_and_load_no_library(folder: Path) -> None:
    code = (
        "import sys; from qnb.task.records import stages_of; from qnb.task.spec import Task, load_task; "
        "print(list(stages_of(load_task(open('w.yaml').read(), source='w.yaml'))));"
        "print([m for m in ('pandas', 'qnb.record_templates', 'own', 'tiny', 'mlflow') if m in sys.modules])"
    )
    costly, again = (f"{{class: {name}, module_path: own.py}}" for name in ("Costly", "Again"))
    task = task_with(folder, "SignalRecord", costly, "SigAnaRecord", again)
    (folder / "w.yaml").write_text(task.text)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['data', 'fit', 'predict', 'portfolio', 'signal', 'hits', 'report']", "[]"]


def test_own_records_run_in_the_stages_that_were_announced_and_their_metrics_are_shown(
    folder: Path, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from qnb.record_templates import Recorded, RecordTemplate

    class Cell(RecordTemplate):
        title = "Of a cell"

        def compute(self, emit: Any) -> Recorded:
            return Recorded({}, {"celled": 1.25})

    monkeypatch.setattr(sys.modules["__main__"], "Cell", Cell, raising=False)
    own = [f"{{class: {name}, module_path: own.py}}" for name in ("HitRateRecord", "Plain", "Named")]
    task = task_with(folder, "SignalRecord", "{class: Cell, module_path: __main__}", *own)
    announced = {
        "data": "Data", "fit": "Fit", "predict": "Predict", "Cell": "Of a cell", "HitRateRecord": "Hit rate",
        "Plain": "Plain", "hits": "Hits & misses", "report": "Report",
    }  # fmt: skip
    assert stages_of(task) == announced
    handle = qnb.run(task, name="own")
    assert handle.status == "finished", handle.error
    assert {s.name: s.title for s in handle.state.stages} == announced
    assert [s["title"] for s in run_view(handle.state)["stages"]] == list(announced.values())
    told = capsys.readouterr()
    monkeypatch.chdir(folder)
    assert cli.main(["show", "own"]) == 0
    for shown in (told.err, capsys.readouterr().out):
        assert [t for t in announced.values() if f" {t} " in shown] == list(announced.values())
    cli.main(["show", handle.run_id])
    lines = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()) for line in lines if line.startswith("  ")][-3:] == [
        "celled 1.2500", "Hit rate 0.6250", "plain 3.5000",
    ]  # fmt: skip


def test_a_stage_of_the_runs_own_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="the stage of Greedy is 'fit', which is one of the run's own"):
        task_with(folder, "{class: Greedy, module_path: own.py}")


def test_a_record_that_was_named_otherwise_leaves_no_stage_that_never_ends(folder: Path, settings: Settings) -> None:
    handle = qnb.run(task_with(folder, "SignalRecord", "{class: Computed, module_path: own.py}"), name="computed")
    assert handle.status == "finished", handle.error
    assert [s.name for s in handle.state.stages] == ["data", "fit", "predict", "computed", "report"]


def test_records_that_read_predictions_need_some(folder: Path) -> None:
    with pytest.raises(ConfigError, match="HitRateRecord needs the predictions of a SignalRecord"):
        task_with(folder, "{class: HitRateRecord, module_path: own.py}")
