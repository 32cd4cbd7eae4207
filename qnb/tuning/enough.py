"""Whether the market has days enough for the folds of a study: told before any trial."""

from __future__ import annotations

from ..check.expressions import labels_of
from ..check.subject import Subject, first_moment, last_moment, open_market
from ..config import Settings
from ..errors import ConfigError, DataError, ExpressionError, Problem
from ..expr.catalogue import own_operators, register_custom_ops
from .folds import label_reach, make_folds
from .plan import StudyPlan

__all__ = ["too_many_folds"]


def too_many_folds(plan: StudyPlan, settings: Settings) -> list[Problem]:
    """Return the problem of a cross-validation with more folds than the days from train to valid allow.

    What cannot be known before the data is loaded is no problem here.
    """
    validation = plan.spec.validation
    if validation.kind == "holdout":
        return []
    try:
        market = open_market(settings)
        subject = Subject(plan.task, settings, market)
        calendar = market.calendar
        first = first_moment(subject.segments["train"][0])
        last = last_moment(subject.segments["valid"][1])
        days = int(((calendar >= first) & (calendar <= last)).sum())
        with own_operators():
            register_custom_ops(settings.custom_ops)
            reach = label_reach([e.text for e in labels_of(subject)])
    except (ConfigError, DataError, ExpressionError, KeyError, IndexError, TypeError, ValueError):
        return []
    try:
        make_folds(validation.kind, days, validation.folds, reach=reach, embargo=validation.embargo)
    except ConfigError as error:
        (problem,) = error.problems
        if "study.cv" in plan.document.places:
            return [plan.document.problem(problem.message, ("study", "cv"), remedy=problem.remedy)]
        return [Problem(f"--cv: {problem.message}", problem.remedy)]
    return []
