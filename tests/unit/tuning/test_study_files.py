"""Files of a study that are damaged, or of another version: left out and told, or refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qnb.config import Settings
from qnb.errors import StudyError
from qnb.tuning.events import EventLog, EventReader, StudyEnded, StudyStarted, TrialStarted
from qnb.tuning.plan import load_study
from qnb.tuning.spec import StudySpec
from qnb.tuning.state import StudyState
from qnb.tuning.studydir import StudyDir, create_study, find_study

TEXT = "market: demo\nmodel: {lightgbm: {num_leaves: !int [4, 32]}}\nfeatures: {MOM: '$close/Ref($close, 5) - 1'}\n"


@pytest.fixture
def study(tmp_path: Path) -> StudyDir:
    return create_study(load_study(TEXT, name="s", options={"trials": 2}), Settings(work_dir=tmp_path))


@pytest.mark.parametrize(
    "line",
    [
        "[]", "17", "{", '{"event":"FromTheFuture"}', '{"event":"TrialEnded"}', '{"event":["StudyEnded"]}',
        '{"event":"TrialEnded","trial":0,"state":"complete","values":["high"]}',
        '{"event":"TrialValue","trial":"0","fold":0,"step":1,"value":1.0}',
        '{"event":"StudyStarted","time":1e300,"study_id":"s","name":"s","spec":{},"space":[]}', "[" * 5000,
    ],
)  # fmt: skip
def test_an_event_that_cannot_be_read_is_left_out(study: StudyDir, line: str, caplog: pytest.LogCaptureFixture) -> None:
    spec = StudySpec(trials=3).to_json() | {"colour": "red"}
    sound = [StudyStarted(study_id="s", name="s", spec=spec, space=[]), StudyEnded(status="finished")]
    for event in sound:
        with (study.path / "events.ndjson").open("a") as file:
            file.write(f"{line}\n")
        log = EventLog(study.path)
        log(event)
        log.close()
    read = EventReader(study.path).read_new()
    assert read == sound
    state = StudyState()
    for event in read:
        state.apply(event)
    assert (state.status, state.spec.trials) == ("finished", 3)
    assert "events.ndjson" in caplog.text


def test_a_spec_that_is_not_known_here_leaves_the_study_to_be_shown(study: StudyDir) -> None:
    state = StudyState()
    state.apply(StudyStarted(study_id="s", name="s", spec={"objectives": [{"metric": "new"}]}, space=[]))
    state.apply(TrialStarted(trial=0, params={}))
    assert (state.status, state.spec) == ("running", StudySpec())


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((), []), (("plan",), 5), (("plan", "spec"), []), (("plan", "spec", "trials"), "many"),
        (("plan", "spec", "objectives"), [{"metric": "colour", "direction": "maximize"}]),
        (("plan", "spec", "objectives"), []), (("plan", "spec", "validation"), {"folds": None}), (("settings",), None),
        (("settings", "region"), "moon"), (("settings", "provider_uri"), 7),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_read_is_a_study_error(study: StudyDir, place: tuple[str, ...], value: object) -> None:
    raw = json.loads((study.path / "request.json").read_text())
    inner = raw
    for key in place[:-1]:
        inner = inner[key]
    if place:
        inner[place[-1]] = value
    (study.path / "request.json").write_text(json.dumps(raw if place else value))
    with pytest.raises(StudyError, match=r"request\.json cannot be read"):
        study.request()


@pytest.mark.parametrize("key", ["document", "text", "notes", "base_dir"])
def test_a_plan_that_cannot_be_read_is_a_study_error(study: StudyDir, key: str) -> None:
    raw = json.loads((study.path / "request.json").read_text())
    raw["plan"][key] = 5
    (study.path / "request.json").write_text(json.dumps(raw))
    with pytest.raises(StudyError, match="plan of study s"):
        study.request().plan()


def test_keys_of_a_newer_version_are_left_out(study: StudyDir, tmp_path: Path) -> None:
    raw = json.loads((study.path / "request.json").read_text())
    raw["colour"] = raw["settings"]["colour"] = raw["plan"]["spec"]["colour"] = "red"
    (study.path / "request.json").write_text(json.dumps(raw))
    assert find_study(Settings(work_dir=tmp_path), "s").request().spec.trials == 2
