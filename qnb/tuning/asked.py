"""From what a user asked for, in the section ``study`` or on the command line, to a `StudySpec`."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..config import core_count
from ..errors import Problem, UnknownNameError, nearest, remedy_for
from ..task.document import Document
from .objectives import DIRECTIONS, Objective, metric_of
from .spec import KINDS, PRUNERS, SAMPLERS, SEGMENTS, StudySpec, Validation

__all__ = ["spec_of"]


def spec_of(
    document: Document, asked: Mapping[str, Any], options: set[str], name: str
) -> tuple[StudySpec, list[Problem]]:
    """Return the spec of `asked` and what is wrong with it; `options` are those of the command line."""
    problems: list[Problem] = []

    def wrong(key: str, message: str, remedy: str = "") -> None:
        if key in options:
            problems.append(Problem(f"--{key.replace('_', '-')}: {message}", remedy))
        else:
            problems.append(document.problem(message, ("study", key), remedy=remedy))

    def whole(key: str, default: int, least: int) -> int:
        value = asked.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            wrong(key, f"{key} must be a whole number, received {value!r}")
            return default
        if value < least:
            wrong(key, f"{value} {key}" if key.endswith("s") else f"a {key} of {value}", f"at least {least}")
            return default
        return value

    def one_of(key: str, default: str, known: Sequence[str]) -> str:
        value = str(asked.get(key, default)).lower()
        if value not in known:
            wrong(key, f"no {key} {value!r}", remedy_for(value, known))
            return default
        return value

    def seconds(key: str) -> float | None:
        value = asked.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            wrong(key, f"{key} must be seconds above 0, received {value!r}")
            return None
        return float(value)

    cores = _pool_size()
    jobs = whole("jobs", cores, 1)
    if jobs > cores:
        wrong("jobs", f"{jobs} jobs, and the pool has {cores} workers", f"at most {cores}, or set QNB_WORKERS")
        jobs = cores
    spec = StudySpec(
        name=name or "study", trials=whole("trials", 50, 1), jobs=jobs,
        threads=whole("threads", max(1, core_count() // jobs), 1), objectives=_objectives(asked, wrong),
        sampler=one_of("sampler", "tpe", SAMPLERS), pruner=one_of("pruner", "hyperband", PRUNERS),
        seed=whole("seed", 7, 0), timeout=seconds("timeout"), trial_timeout=seconds("trial_timeout"),
        storage=str(asked.get("storage") or ""), validation=_validation(asked, wrong, one_of),
    )  # fmt: skip
    if len(spec.objectives) > 1 and spec.sampler in ("cmaes",):
        wrong("sampler", "cmaes searches for one objective", "use tpe, random, grid or qmc for several")
    if len(spec.objectives) > 1 or spec.on_test:  # there is no one value on the way to compare
        spec = replace(spec, pruner="none")
    return spec, problems


def _objectives(asked: Mapping[str, Any], wrong: Any) -> tuple[Objective, ...]:
    names, ways = _listed(asked.get("metric") or "IC"), _listed(asked.get("direction"))
    if ways and len(ways) != len(names):
        wrong(
            "direction", f"{len(ways)} directions for {len(names)} metrics", "give one for each metric, in their order"
        )
        ways = []
    found = []
    for number, name in enumerate(names):
        try:
            metric = metric_of(str(name))
        except UnknownNameError as error:
            wrong("metric", str(error), "" if error.suggestions else "e.g. IC, rank_ic, ICIR, loss, information_ratio")
            continue
        way: str = str(ways[number]).lower() if ways else metric.direction
        way = {"max": "maximize", "min": "minimize"}.get(way, way)
        if way not in DIRECTIONS:
            remedy = remedy_for(way, DIRECTIONS)
            wrong("direction", f"no direction {way!r}", remedy)
            continue
        found.append(Objective(metric.key, way))
    return tuple(found) or (Objective("IC", "maximize"),)


def _validation(asked: Mapping[str, Any], wrong: Any, one_of: Any) -> Validation:
    segment = one_of("segment", "valid", SEGMENTS)
    cv = asked.get("cv")
    if cv is None:
        return Validation(segment=segment)
    if isinstance(cv, str):  # walk_forward:4
        named, _, count = cv.partition(":")
        cv = {"kind": named, **({"folds": int(count) if count.isdecimal() else count} if count else {})}
    if not isinstance(cv, Mapping) or not set(cv) <= {"kind", "folds", "embargo"}:
        wrong("cv", f"cv cannot be {cv!r}", "write {kind: walk_forward, folds: 4} or purged_kfold")
        return Validation(segment=segment)
    kind = str(cv.get("kind", "walk_forward"))
    folds: Any = cv.get("folds", 4)
    embargo: Any = cv.get("embargo")
    if kind not in KINDS[1:]:
        near = nearest(str(kind), KINDS[1:])
        wrong("cv", f"no cross-validation {kind!r}", f"did you mean {near[0]!r}?" if near else "valid: " + KINDS[1])
        kind = KINDS[1]
    if not isinstance(folds, int) or isinstance(folds, bool) or folds < 2:
        wrong("cv", f"{folds!r} folds", "at least 2")
        folds = 2
    if embargo is not None and (not isinstance(embargo, int) or isinstance(embargo, bool) or embargo < 0):
        wrong("cv", f"an embargo of {embargo!r} days", "a whole number from 0 on; without one the label decides")
        embargo = None
    if segment == "test":
        wrong("segment", "cross-validation uses the segments train and valid", "leave segment out")
    return Validation(kind, folds, embargo, "valid")


def _pool_size() -> int:
    """Return how many workers there can be: ``QNB_WORKERS``, else the cores."""
    given = os.environ.get("QNB_WORKERS", "")
    return max(1, int(given)) if given.isdigit() else core_count()


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
