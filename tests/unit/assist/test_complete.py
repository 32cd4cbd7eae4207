"""What is offered at a cursor, and what a word means."""

from __future__ import annotations

from pathlib import Path

import pytest

from qnb.assist import Surroundings, complete, explain_at
from qnb.config import Settings


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    """A market with two universes and three fields, and a notebook with a variable."""
    (tmp_path / "market" / "instruments").mkdir(parents=True)
    for name in ("csi300", "csi500"):
        (tmp_path / "market" / "instruments" / f"{name}.txt").write_text("A\t2010-01-01\t2020-01-01\n")
    stock = tmp_path / "market" / "features" / "sh600000"
    stock.mkdir(parents=True)
    for field in ("close", "open", "turn"):
        (stock / f"{field}.day.bin").write_bytes(b"")
    settings = Settings().with_(provider_uri=str(tmp_path / "market"), work_dir=str(tmp_path))
    return Surroundings(settings, ("rate", "rounds"))


def _offered(text: str, around: Surroundings | None = None) -> list[str]:
    at = text.index("|")
    return [c.text for c in complete(text.replace("|", "", 1), at, around)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mod|", "model: "),
        ("model: light|", "lightgbm"),
        ("model:\n  class: LGB|", "LGBModel"),
        ("model:\n  class: LGBModel\n  kwargs:\n    early|", "early_stopping_rounds: "),
        ("model: {class: LGBModel, kwargs: {num_l|}}", "num_leaves: "),
        ("model: {lightgbm: {num_l|", "num_leaves: "),
        ("model:\n  class: qlib.contrib.model.gbdt.LGBModel\n  kwargs:\n    num_b|", "num_boost_round: "),
        ("task:\n  model:\n    cl|", "class: "),
        ("task:\n  dataset:\n    class: DatasetH\n    kwargs:\n      handler:\n        class: Alp|", "Alpha158"),
        ("strategy: {n_d|", "n_drop: "),
        ("processors:\n  infer:\n    - {class: Robust|", "RobustZScoreNorm"),
        ("backtest:\n  mode: str|", "strict"),
        ("region: c|", "cn"),
        ("features: Alpha1|", "Alpha158"),
        ("label: Re|", "Ref("),
        ("features: {a: Mean($close, 5)/St|", "Std("),
        ("task:\n  record:\n  - class: PortAnaRecord\n    kwargs: {config: {backtest: {exchange_kwargs: {open|",
         "open_cost: "),
    ],
)  # fmt: skip
def test_offers(text: str, wanted: str) -> None:
    assert wanted in _offered(text)


def test_a_key_that_is_there_is_not_offered_again() -> None:
    assert "num_leaves: " not in _offered("model: {class: LGBModel, kwargs: {num_leaves: 3, num_l|")


def test_the_other_form_is_not_offered() -> None:
    assert "task: " not in _offered("model: lightgbm\n|")
    assert "features: " not in _offered("task:\n  model: x\n|")


def test_names_of_the_market(around: Surroundings) -> None:
    assert _offered("universe: |", around) == ["csi300", "csi500"]
    assert _offered("label: Ref($|", around) == ["$close", "$open", "$turn"]
    assert _offered("label: Ref($tu|, 1)", around) == ["$turn"]


def test_variables_of_the_notebook(around: Surroundings) -> None:
    assert _offered("model: {lightgbm: {learning_rate: {{ ra|", around) == ["rate"]


def test_nothing_in_a_comment() -> None:
    assert _offered("# mod|") == []


def test_the_replaced_text_is_the_word_alone() -> None:
    (found,) = complete("label: Ref($close, -2)/Re", 25)[:1]
    assert (found.text, found.typed) == ("Ref(", 2)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("model: light|gbm", "model LGBModel (short: lightgbm)"),
        ("model: {class: LGBModel, kwargs: {early_stop|ping_rounds: 3}}", "argument of LGBModel"),
        ("label: Me|an($close, 5)", "operator Mean(feature, N)"),
        ("label: Ref($clo|se, 1)", "field $close"),
        ("uni|verse: all", "instruments"),
        ("strategy: {topk: 30, n_dr|op: 3}", "n_drop"),
    ],
)
def test_help(text: str, wanted: str) -> None:
    at = text.index("|")
    assert wanted in (explain_at(text.replace("|", "", 1), at) or "")


def test_no_help_where_nothing_is_known() -> None:
    assert explain_at("model: nothing_of_ours", 10) is None
    assert explain_at("", 0) is None


def test_a_field_that_is_not_there_names_those_that_are(around: Surroundings) -> None:
    text = "label: Ref($cloze, 1)"
    assert "$close, $open, $turn" in (explain_at(text, 14, around) or "")
