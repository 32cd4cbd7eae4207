"""The verdict on a study in plain words, and the three numbers it rests on.

The deflated Sharpe ratio counts all trials, pruned and failed ones too; the probability of overfitting compares the
complete ones. That is the stricter choice for each: more trials make luck reach further, and trials that were pruned as
bad would make the winner look better among its rivals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .honesty import deflated_sharpe, moments, overfitting
from .objectives import Objective
from .series import Series, read_series
from .spec import StudySpec

__all__ = ["Verdict", "judge", "judge_series"]

GOOD_SHARPE = 0.95
GOOD_OVERFITTING = 0.20
FEWEST = 5
YEAR = 238


@dataclass(frozen=True, slots=True)
class Verdict:
    """How much of the best is luck.

    Attributes
    ----------
    kind : str
        ``holds``, ``doubt``, ``noise``, ``test`` (chosen on the test segment) or ``early`` (too few trials).
    headline, sentence, advice, basis : str
        In words; `basis` says what was counted.
    deflated : float
        Deflated Sharpe ratio of the best trial, a probability; good from 0.95.
    overfit : float
        Probability of backtest overfitting; good below 0.20.
    found, by_luck : float
        Sharpe ratio of the best trial and expected best without skill, a year of 238 days.
    measure : str
        What the Sharpe ratio is of.
    trials, complete, days, splits : int
        What was counted.
    """

    kind: str
    headline: str
    sentence: str
    advice: str
    basis: str
    deflated: float = math.nan
    overfit: float = math.nan
    found: float = math.nan
    by_luck: float = math.nan
    measure: str = ""
    trials: int = 0
    complete: int = 0
    days: int = 0
    splits: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; a figure that is not known is None."""
        return {
            k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()
        }  # fmt: skip


def judge(folder: Path, spec: StudySpec, states: Mapping[int, str], best: int | None) -> Verdict:
    """Return the verdict on the trials so far.

    Parameters
    ----------
    folder : Path
        The study's directory.
    states : mapping of int to str
        State of every trial that is over.
    best : int or None
        Number of the best trial.
    """
    series = {n: read_series(folder, n, spec.validation.folds) for n, s in states.items() if s != "failed"}
    known = {n: s for n, s in series.items() if s is not None}
    complete = [n for n, s in states.items() if s == "complete" and n in known]
    return judge_series(known, spec, complete=complete, trials=len(states), best=best)


def judge_series(
    series: Mapping[int, Series], spec: StudySpec, *, complete: Sequence[int], trials: int, best: int | None
) -> Verdict:
    """Return the verdict on trials with these daily series; see `judge`."""
    import numpy as np

    objective = spec.objectives[0]
    if best is None or best not in series or len(complete) < FEWEST:
        return _with_test(
            Verdict(
                "early", "Too early to say",
                f"{len(complete)} complete trials are too few to tell luck from skill.",
                f"Run at least {FEWEST}; 20 or more give a steady answer.",
                f"{trials} trials, {len(complete)} of them complete.", trials=trials, complete=len(complete),
            ),
            spec,
        )  # fmt: skip
    backtest = objective.need == "backtest"
    returns = {n: (s.excess if backtest and len(s.excess) else s.returns) for n, s in series.items()}
    compared = {n: r for n, r in returns.items() if not backtest or len(series[n].excess)}
    sharpes = [moments(r)[0] for r in compared.values()]
    deflated = deflated_sharpe(returns[best], sharpes, trials=trials)
    length = len(series[best].days)
    same = [n for n in complete if len(series[n].days) == length and (series[n].days == series[best].days).all()]
    table = np.column_stack([_judged(series[n], objective, returns[n]) for n in same])
    measure = "ratio" if backtest or objective.metric.endswith("ICIR") else "mean"
    overfit = overfitting(table, measure=measure)  # type: ignore[arg-type]
    year = math.sqrt(YEAR)
    words = "excess return" if backtest else "long-short return before cost"
    basis = (
        f"Deflated for all {trials} trials; PBO over the {len(same)} complete ones, {overfit.periods:,} days, "
        f"{overfit.splits:,} splits."
    )
    numbers: dict[str, Any] = {
        "deflated": deflated.probability, "overfit": overfit.probability, "found": deflated.sharpe * year,
        "by_luck": deflated.by_luck * year, "measure": words, "trials": trials, "complete": len(complete),
        "days": overfit.periods, "splits": overfit.splits, "basis": basis,
    }  # fmt: skip
    return _with_test(_in_words(numbers, deflated.periods), spec)


def _in_words(numbers: dict[str, Any], days: int) -> Verdict:
    deflated, overfit = numbers["deflated"], numbers["overfit"]
    share = f"{100 * overfit:.0f} %" if math.isfinite(overfit) else "–"
    if not deflated >= GOOD_SHARPE:
        return Verdict(
            "noise", "No better than luck",
            f"The best Sharpe ratio, {numbers['found']:.2f}, cannot be told from luck: a search this wide finds "
            f"{numbers['by_luck']:.2f} without any skill, and {days:,} days say no more.",
            "Do not trade it. Change the features or the label, or compare on more days: other parameters do not help.",
            **numbers,
        )  # fmt: skip
    if math.isfinite(overfit) and overfit < GOOD_OVERFITTING:
        return Verdict(
            "holds", "The best holds up",
            f"The signal is no accident, and the winner of one half of the days stays in the upper half on the others "
            f"in all but {share} of the splits.",
            "Confirm it once on the test segment, and only once.", **numbers,
        )  # fmt: skip
    return Verdict(
        "doubt", "Real signal, arbitrary winner",
        "The signal is no accident, but the search cannot tell its best trials apart: picked on one half of the days, "
        f"the winner lands in the lower half on the others in {share} of the splits.",
        "Take any of the top trials, or the simplest.", **numbers,
    )  # fmt: skip


def _with_test(verdict: Verdict, spec: StudySpec) -> Verdict:
    if not spec.on_test:
        return Verdict(**{**asdict(verdict), "basis": verdict.basis + " The test segment has not been looked at."})
    return Verdict(
        **{
            **asdict(verdict),
            "kind": "test",
            "headline": "Tuned on the test segment",
            "sentence": "The trials were chosen on the days that should have tested them, so nothing is left to test "
            "the winner on. " + verdict.sentence,
            "advice": "Repeat the study with segment: valid.",
        }
    )


def _judged(series: Series, objective: Objective, returns: Any) -> Any:
    """Return by day what the objective judges a trial by, larger is better."""
    if objective.need == "backtest":
        return returns
    return series.ic if objective.need in ("signal", "loss") else series.returns
