"""The formulas against published and hand-computed examples, and the verdict on made-up studies."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from qnb.tuning.honesty import (
    deflated_sharpe,
    expected_best,
    moments,
    overfitting,
    probabilistic_sharpe,
)
from qnb.tuning.objectives import Objective
from qnb.tuning.series import Series
from qnb.tuning.spec import StudySpec, Validation
from qnb.tuning.verdict import judge_series


def test_the_example_of_the_deflated_sharpe_paper() -> None:
    """Bailey and López de Prado (2014), a numerical example: 2.5 a year over 5 years of 250 days, 100 trials."""
    by_luck = expected_best(100, 0.5 / 250)
    assert by_luck == pytest.approx(0.1132, abs=5e-5)
    found = probabilistic_sharpe(2.5 / math.sqrt(250), by_luck, 1250, skew=-3.0, kurtosis=10.0)
    assert found == pytest.approx(0.9004, abs=5e-5)
    assert probabilistic_sharpe(2.5 / math.sqrt(250), expected_best(46, 0.5 / 250), 1250, -3.0, 10.0) == pytest.approx(
        0.9505, abs=5e-4
    ), "the paper: with 46 trials it would have passed at 95 %"


def test_the_expected_best_is_near_that_of_a_simulation() -> None:
    rng = np.random.default_rng(3)
    for trials in (10, 100):
        simulated = rng.normal(size=(20000, trials)).max(axis=1).mean()
        assert expected_best(trials, 1.0) == pytest.approx(simulated, rel=0.03)


def test_the_probabilistic_sharpe_ratio_by_hand() -> None:
    assert probabilistic_sharpe(0.1, 0.0, 101) == pytest.approx(NormalDist().cdf(1.0 / math.sqrt(1.005)), rel=1e-12)
    assert probabilistic_sharpe(0.1, 0.1, 50) == 0.5
    assert math.isnan(probabilistic_sharpe(0.1, 0.0, 1))


def test_moments_by_hand() -> None:
    sharpe, skew, kurtosis, count = moments(np.array([1.0, 2.0, np.nan, 6.0]))
    assert (count, sharpe) == (3, pytest.approx(3.0 / math.sqrt(7.0)))
    assert skew == pytest.approx((((-2) ** 3 + (-1) ** 3 + 3**3) / 3) / (14 / 3) ** 1.5)
    assert kurtosis == pytest.approx(((16 + 1 + 81) / 3) / (14 / 3) ** 2)
    assert math.isnan(moments(np.ones(5))[0])


def test_more_trials_deflate_more() -> None:
    rng = np.random.default_rng(1)
    returns = rng.normal(0.05, 1.0, 1000)
    sharpes = rng.normal(0.0, 0.03, 20)
    few, many = deflated_sharpe(returns, sharpes), deflated_sharpe(returns, sharpes, trials=500)
    assert (few.trials, many.trials) == (20, 500)
    assert many.probability < few.probability
    assert many.by_luck > few.by_luck


def test_overfitting_by_hand_with_two_blocks() -> None:
    """Two blocks give two splits. Trial 0 wins the first and loses the second block, trial 1 the other way round."""
    days = np.array([[1.0, 0.0, 0.4], [2.0, 0.2, 0.6], [0.0, 1.0, 0.4], [0.2, 2.0, 0.6]])
    found = overfitting(days, blocks=2, measure="mean")
    assert (found.probability, found.splits, found.trials, found.periods) == (1.0, 2, 3, 4)
    assert found.degradation == pytest.approx(1 / 4), "the winner is last of three on the other half"
    steady = overfitting(days[:, [2, 1, 0]] * [9.0, 0.1, 0.1] + [5.0, 0.0, 0.0], blocks=2, measure="mean")
    assert steady.probability == 0.0


def test_overfitting_against_a_plain_loop() -> None:
    from itertools import combinations

    rng = np.random.default_rng(8)
    daily = rng.normal(size=(60, 5))
    found = overfitting(daily, blocks=6, measure="ratio")
    below = 0
    parts = daily.reshape(6, 10, 5)
    for chosen in combinations(range(6), 3):
        rest = [b for b in range(6) if b not in chosen]
        inside, outside = np.concatenate(parts[list(chosen)]), np.concatenate(parts[rest])
        winner = (inside.mean(axis=0) / inside.std(axis=0, ddof=1)).argmax()
        scores = outside.mean(axis=0) / outside.std(axis=0, ddof=1)
        rank = 1 + (scores < scores[winner]).sum()
        below += math.log(rank / 6 / (1 - rank / 6)) <= 0
    assert found.probability == pytest.approx(below / 20)
    assert found.splits == 20


def test_a_trial_without_variation_has_no_ratio_and_a_steady_one_the_best() -> None:
    noise = np.random.default_rng(3).normal(size=(24, 3))
    constant, steady = np.full((24, 1), 8.0), 5 + 0.01 * noise[:, :1]
    own = overfitting(noise, blocks=4)
    found = overfitting(np.hstack([noise, constant]), blocks=4)
    assert own.degradation < 3 / 4, "or it would not show that the constant one wins"
    assert found.degradation == pytest.approx((4 * own.degradation + 1) / 5), "the constant one is always the last"
    found = overfitting(np.hstack([noise, constant, steady]), blocks=4)
    assert (found.probability, found.splits) == (0.0, 6)
    assert found.degradation == pytest.approx(5 / 6)


def test_overfitting_of_noise_is_near_a_half_and_of_one_clear_winner_near_none() -> None:
    rng = np.random.default_rng(5)
    noise = np.mean([overfitting(rng.normal(size=(480, 20))).probability for _ in range(20)])
    assert 0.35 < noise < 0.65
    winner = rng.normal(size=(480, 20))
    winner[:, 7] += 0.5
    assert overfitting(winner).probability < 0.01


def test_too_little_is_not_judged() -> None:
    assert math.isnan(overfitting(np.zeros((100, 1))).probability)
    assert math.isnan(overfitting(np.zeros((2, 5))).probability)


def _study(returns: np.ndarray) -> dict[int, Series]:
    days = np.datetime64("2015-01-01") + np.arange(len(returns))
    found = {}
    for number, column in enumerate(returns.T):
        found[number] = Series(days.astype("datetime64[ns]"), column, column / 50, np.empty(0))
    return found


def _judge(returns: np.ndarray, spec: StudySpec | None = None) -> object:
    spec = spec or StudySpec(objectives=(Objective("IC", "maximize"),))
    best = int(returns.mean(axis=0).argmax())
    return judge_series(_study(returns), spec, complete=range(returns.shape[1]), trials=returns.shape[1], best=best)


def test_a_study_of_noise_is_called_noise() -> None:
    kinds = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        kinds.append(_judge(rng.normal(size=(480, 40))).kind)
    assert kinds.count("noise") >= 18, kinds


def test_a_planted_signal_is_not_called_noise() -> None:
    rng = np.random.default_rng(2)
    common = rng.normal(0.3, 1.0, size=(480, 1))
    alike = _judge(common + rng.normal(0, 0.05, size=(480, 20)))
    assert alike.kind == "doubt"
    assert "arbitrary" in alike.headline
    better = rng.normal(0, 0.3, size=(480, 20)) + common
    better[:, 3] += 0.4
    found = _judge(better)
    assert (found.kind, found.headline) == ("holds", "The best holds up")
    assert found.overfit < 0.2


def test_headlines_have_at_most_five_words_and_the_test_segment_is_told() -> None:
    rng = np.random.default_rng(4)
    returns = rng.normal(0.2, 1, size=(300, 10))
    spec = StudySpec(objectives=(Objective("IC", "maximize"),), validation=Validation(segment="test"))
    found = _judge(returns, spec)
    assert found.kind == "test"
    assert "test" in found.headline.lower()
    for verdict in (found, _judge(returns), _judge(returns[:, :3])):
        assert len(verdict.headline.split()) <= 5
        assert verdict.to_json()["kind"] == verdict.kind
    assert _judge(returns[:, :3]).kind == "early"
    assert "has not been looked at" in _judge(returns).basis
