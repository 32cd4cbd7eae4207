"""The list of studies while others make and remove some."""

from __future__ import annotations

import threading
from pathlib import Path

from qnb.config import Settings
from qnb.tuning.plan import load_study
from qnb.tuning.studydir import create_study, list_studies, studies_dir

TEXT = "market: demo\nmodel: {lightgbm: {num_leaves: !int [4, 32]}}\nfeatures: {MOM: '$close/Ref($close, 5) - 1'}\n"


def test_a_study_is_listed_once_it_is_whole(tmp_path: Path) -> None:
    settings = Settings(work_dir=tmp_path)
    assert list_studies(settings) == []
    plan = load_study(TEXT, name="s", options={"trials": 2})
    known = create_study(plan, settings)
    (studies_dir(settings) / "being-made").mkdir()
    (studies_dir(settings) / "being-removed").mkdir()
    (studies_dir(settings) / "being-removed" / "request.json").touch()
    assert list_studies(settings) == [known]


def test_it_can_be_listed_while_others_are_made(tmp_path: Path) -> None:
    settings, plan = Settings(work_dir=tmp_path), load_study(TEXT, name="s", options={"trials": 2})
    made: list[object] = []
    maker = threading.Thread(target=lambda: made.extend(create_study(plan, settings) for _ in range(40)))
    maker.start()
    while maker.is_alive():
        for directory in list_studies(settings):
            assert directory.request().name == "s"
    assert len(list_studies(settings)) == 40
