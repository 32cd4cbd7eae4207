"""The optimiser alone: every sampler and pruner, taking up interrupted trials, and a storage with an address."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from qnb.errors import ConfigError, MissingExtraError, StudyError
from qnb.task.parse import parse
from qnb.tuning.objectives import Objective
from qnb.tuning.search import Search, check_sampler
from qnb.tuning.space import TAGS, Space, read_space
from qnb.tuning.spec import SAMPLERS, StudySpec
from qnb.tuning.storage import check_storage

TEXT = "a: !uniform [-1, 1]\nb: !logint [1, 100]\nc: !choice [x, y]\n"
GRID = "a: {low: -1.0, high: 1.0, step: 0.5}\nb: {low: 1, high: 2}\nc: !choice [x, y]\n"


def _space(text: str) -> Space:
    space, problems = read_space(parse(text, tags=TAGS))
    assert not problems
    return space


def _value(params: dict[str, Any]) -> float:
    return -((params["a"] - 0.3) ** 2) - math.log(params["b"]) / 10 + (params["c"] == "y")


def _run(folder: Path, spec: StudySpec, text: str = TEXT, *, trials: int, name: str = "s") -> list[dict[str, Any]]:
    """Ask, evaluate and tell `trials` trials with a search that is opened for them alone."""
    search = Search(spec, _space(text), folder, name)
    asked = []
    for proposal in [*search.interrupted(), *iter(search.ask, None)][:trials]:
        asked.append(dict(proposal.params))
        search.tell(proposal.number, "complete", [_value(dict(proposal.params))])
    search.close()
    return asked


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_stays_within_the_bounds_and_repeats_itself(sampler: str, tmp_path: Path) -> None:
    text = GRID if sampler == "grid" else TEXT
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        spec = StudySpec(sampler=sampler, seed=3, trials=13)
        search = Search(spec, _space(text), tmp_path / name, name)
        asked = []
        while (proposal := search.ask()) is not None:
            asked.append(dict(proposal.params))
            search.tell(proposal.number, "complete", [_value(asked[-1])])
        search.close()
        found.append(asked)
    assert found[0] == found[1], "the same seed, the same trials"
    assert len(found[0]) == 13
    for params in found[0]:
        assert -1 <= params["a"] <= 1
        assert 1 <= params["b"] <= 100
        assert isinstance(params["b"], int)
        assert params["c"] in ("x", "y")
    if sampler != "grid":
        assert len({p["a"] for p in found[0]}) > 5


@pytest.mark.parametrize("sampler", [s for s in SAMPLERS if s != "grid"])
def test_killed_between_number_and_parameters_a_trial_draws_what_it_would_have(sampler: str, tmp_path: Path) -> None:
    spec = StudySpec(sampler=sampler, seed=3, trials=4)
    asked = {}
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        search = Search(spec, _space(TEXT), tmp_path / name, name)
        asked[name] = [search.ask()]
        if name == "whole":
            asked[name].append(search.ask())
        else:
            search._study.ask()  # it has its number, and the manager dies
        search.close()
    again = Search(spec, _space(TEXT), tmp_path / "killed", "killed")
    assert [(p.number, p.params) for p in again.interrupted()] == [(p.number, p.params) for p in asked["whole"] if p]
    again.close()


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "cmaes"])
def test_a_search_that_is_opened_anew_goes_on_as_if_nothing_was(sampler: str, tmp_path: Path) -> None:
    spec = StudySpec(sampler=sampler, seed=3, trials=14)
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()

    def some(folder: Path, stop: int) -> list[dict[str, Any]]:
        search = Search(spec, _space(TEXT), folder, "s")
        asked = []
        while len(search.finished()) < stop:
            proposal = (search.interrupted() or [None])[0] if not asked else None
            proposal = proposal or search.ask()
            asked.append(dict(proposal.params))
            search.tell(proposal.number, "complete", [_value(asked[-1])])
        if stop < 14:
            search.ask()  # a trial that nobody ends
        search.close()
        return asked

    whole = some(tmp_path / "whole", 14)
    with (tmp_path / "parts" / "optuna.journal").open("ab"):
        pass
    first = some(tmp_path / "parts", 12)
    with (tmp_path / "parts" / "optuna.journal").open("ab") as file:
        file.write(b'{"op_code": 4, "torn')  # as a kill may leave it
    (tmp_path / "parts" / "optuna.journal.lock").symlink_to("gone")
    rest = some(tmp_path / "parts", 14)
    assert [*first, *rest] == whole


def test_a_grid_is_searched_once_and_needs_points(tmp_path: Path) -> None:
    spec = StudySpec(sampler="grid", trials=50)
    search = Search(spec, _space(GRID), tmp_path, "g")
    assert search.limit == 5 * 2 * 2
    seen = []
    while (proposal := search.ask()) is not None:
        seen.append(tuple(sorted(proposal.params.items())))
        search.tell(proposal.number, "complete", [0.0])
    assert len(seen) == len(set(seen)) == 20
    search.close()
    with pytest.raises(ConfigError, match="a grid cannot search 'alpha'"):
        Search(spec, _space("m: !choice\n  - l: {alpha: !int [1, 2]}\n  - x\n"), tmp_path, "h")


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_what_lags_behind_is_pruned_and_what_leads_is_not(pruner: str, tmp_path: Path) -> None:
    spec = StudySpec(pruner=pruner, trials=40, sampler="random")
    search = Search(spec, _space(TEXT), tmp_path, "p")
    pruned = {}
    for number in range(40):
        proposal = search.ask()
        good = number < 8 or number % 2 == 0
        ended = False
        for step in range(5, 101, 5):
            if search.report(proposal.number, step, (1.0 if good else 0.1) * step, of=100):
                ended = True
                break
        pruned[number] = ended
        search.tell(proposal.number, "pruned" if ended else "complete", [float(good)])
    search.close()
    assert not any(pruned[n] for n in range(0, 40, 2) if n >= 8) or pruner == "hyperband"
    assert sum(pruned[n] for n in range(9, 40, 2)) >= (16 if pruner == "median" else 4)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_five_trials_complete_before_any_is_pruned_and_the_seed_decides_which(pruner: str, tmp_path: Path) -> None:
    """The verdict needs five; and the name of a study, which is random, must not decide anything."""

    def states(name: str, seed: int) -> list[str]:
        (tmp_path / name).mkdir()
        search = Search(
            StudySpec(pruner=pruner, trials=30, sampler="random", seed=seed), _space(TEXT), tmp_path / name, name
        )
        while (proposal := search.ask()) is not None:
            value = float(-proposal.number if proposal.number < 5 else proposal.params["a"])
            steps = range(5, 101, 5)
            ended = any(search.report(proposal.number, step, value * step, of=100) for step in steps)
            search.tell(proposal.number, "pruned" if ended else "complete", [value])
        found = [state for _, state in sorted(search.finished().items())]
        search.close()
        return found

    one = states("one", 3)
    assert one[:5] == ["complete"] * 5
    assert "pruned" in one
    assert states("two", 3) == one


def test_a_failed_trial_is_never_best_and_several_objectives_are_told(tmp_path: Path) -> None:
    spec = StudySpec(objectives=(Objective("IC", "maximize"), Objective("turnover", "minimize")), trials=4)
    search = Search(spec, _space(TEXT), tmp_path, "m")
    for state in ("complete", "failed", "complete", "complete"):
        proposal = search.ask()
        search.tell(proposal.number, state, [1.0 - proposal.number, 0.5])
    assert search.finished() == {0: "complete", 1: "failed", 2: "complete", 3: "complete"}
    assert search.values(1) == []
    assert search.values(2) == [-1.0, 0.5]
    search.close()


def test_importances_point_at_what_matters(tmp_path: Path) -> None:
    spec = StudySpec(sampler="random", trials=30)
    search = Search(spec, _space("a: !uniform [-1, 1]\nb: !uniform [0, 1]\n"), tmp_path, "i")
    while (proposal := search.ask()) is not None:
        search.tell(proposal.number, "complete", [proposal.params["a"]])
    found = search.importances()
    search.close()
    assert found["a"] > 0.8 > found["b"]
    assert sum(found.values()) == pytest.approx(1.0)


def test_a_sampler_whose_library_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"torch is not installed; .*qnb\[torch\]"):
        check_sampler("gp")
    for sampler in SAMPLERS:
        if sampler != "gp":
            check_sampler(sampler)  # what the others need is declared


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////nowhere/x.db", "unable to open database file"),
        ("nonsense", "Could not parse"),
        ("postgresql://u:secret@127.0.0.1:1/x", "refused"),
        ("postgresql+psycopg2://u:secret@127.0.0.1:1/x", "refused"),
        ("mysql://u:secret@127.0.0.1:1/x", "its driver is not installed"),
    ],
)
def test_a_storage_that_is_not_there_is_told_in_one_line_without_the_password(url: str, said: str) -> None:
    if url.startswith("postgresql"):
        pytest.importorskip("psycopg2")
    with pytest.raises(StudyError, match="cannot be reached") as caught:
        check_storage(url)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_storage_with_an_address(tmp_path: Path) -> None:
    spec = StudySpec(sampler="random", trials=2, storage=f"sqlite:///{tmp_path}/optuna.db")
    assert len(_run(tmp_path, spec, trials=2)) == 2
    search = Search(spec, _space(TEXT), tmp_path, "s")
    assert search.ask() is None
    search.close()
