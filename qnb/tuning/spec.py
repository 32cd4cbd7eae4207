"""What a study is told: a frozen `StudySpec`, the workflow with its distributions, and how both are read from YAML."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from ..config import core_count
from ..errors import ConfigError, Problem, UnknownNameError, nearest
from ..task.document import Document, Place, copied
from ..task.parse import parse
from ..task.spec import Task, task_of
from .objectives import DIRECTIONS, Objective, metric_of
from .overlay import lay_over, named_space_for
from .space import TAGS, Space, read_space

__all__ = ["SAMPLERS", "STUDY_KEYS", "StudyPlan", "StudySpec", "Validation", "load_study", "plan_of"]

SAMPLERS = ("tpe", "cmaes", "gp", "random", "grid", "qmc")
PRUNERS = ("median", "hyperband", "none")
KINDS = ("holdout", "walk_forward", "purged_kfold")
SEGMENTS = ("valid", "test")
STUDY_KEYS: Mapping[str, str] = {
    "trials": "number of trials; default 50",
    "jobs": "worker processes; default: the cores",
    "threads": "CPU threads of a worker; default: cores / jobs",
    "metric": "what is searched for, on the validation segment; a list for several; default IC",
    "direction": "maximize, minimize or correlation, one for each metric; default: what suits the metric",
    "sampler": "tpe, cmaes, gp, random, grid or qmc; default tpe",
    "pruner": "median, hyperband or none; default median",
    "seed": "seed of the search and, where the task has none, of the models; default 7",
    "timeout": "seconds after which no new trial starts",
    "trial_timeout": "seconds after which a trial counts as failed",
    "storage": "URL of Optuna's storage (sqlite:///..., postgresql://...); default: a journal file in the study",
    "segment": "valid, or test, which spoils the test and is said everywhere in red",
    "cv": "cross-validation: {kind: walk_forward or purged_kfold, folds: 4, embargo: days}",
    "space": "named spaces: LightGBMSpace, or {model: ..., strategy: ..., label: ...}",
}
"""Keys of the section ``study`` with what they mean."""


@dataclass(frozen=True, slots=True)
class Validation:
    """On which days trials are compared.

    Attributes
    ----------
    kind : str
        ``holdout`` (one segment), ``walk_forward`` or ``purged_kfold``.
    folds : int
        Number of folds; 1 for a holdout.
    embargo : int or None
        Trading days left out after a validation fold, beside those that the label reaches; None derives them from it.
    segment : str
        ``valid`` or ``test``, for a holdout.
    """

    kind: str = "holdout"
    folds: int = 1
    embargo: int | None = None
    segment: str = "valid"


@dataclass(frozen=True, slots=True)
class StudySpec:
    """How a study searches; see `STUDY_KEYS`."""

    name: str = "study"
    trials: int = 50
    jobs: int = 1
    threads: int = 1
    objectives: tuple[Objective, ...] = (Objective("IC", "maximize"),)
    sampler: str = "tpe"
    pruner: str = "median"
    seed: int = 7
    timeout: float | None = None
    trial_timeout: float | None = None
    storage: str = ""
    validation: Validation = field(default_factory=Validation)

    @property
    def on_test(self) -> bool:
        """Whether trials are chosen on the test segment."""
        return self.validation.segment == "test"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        v = self.validation
        return {
            "name": self.name, "trials": self.trials, "jobs": self.jobs, "threads": self.threads,
            "objectives": [o.to_json() for o in self.objectives], "sampler": self.sampler, "pruner": self.pruner,
            "seed": self.seed, "timeout": self.timeout, "trial_timeout": self.trial_timeout, "storage": self.storage,
            "validation": {"kind": v.kind, "folds": v.folds, "embargo": v.embargo, "segment": v.segment},
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StudySpec:
        """Return the spec of `to_json`."""
        values = dict(data)
        values["objectives"] = tuple(Objective(o["metric"], o["direction"]) for o in data["objectives"])
        values["validation"] = Validation(**data["validation"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """A study that can start: how it searches, the workflow with its distributions, their space.

    Attributes
    ----------
    spec : StudySpec
        How it searches.
    document : Document
        The workflow, with distributions.
    space : Space
        The distributions.
    task : Task
        The workflow with a representative value in each place; validated.
    text : str
        What the user wrote.
    source, base_dir : str
        For messages and relative paths.
    notes : tuple of str
        What the user should know before it starts.
    """

    spec: StudySpec
    document: Document
    space: Space
    task: Task
    text: str = ""
    source: str = ""
    base_dir: str = ""
    notes: tuple[str, ...] = ()

    def task_with(self, params: Mapping[str, Any]) -> Task:
        """Return the task of a trial.

        Raises
        ------
        ConfigError
            When these values do not make a valid task.
        """
        filled = self.space.fill(self.document, params)
        return task_of(filled, source=self.source, base_dir=FilePath(self.base_dir) if self.base_dir else None)


def load_study(
    text: str,
    *,
    source: str = "",
    first_line: int = 1,
    variables: Mapping[str, Any] | None = None,
    base_dir: FilePath | None = None,
    name: str = "",
    options: Mapping[str, Any] | None = None,
) -> StudyPlan:
    """Return the study of a workflow text with distributions and, if need be, a section ``study``.

    Parameters
    ----------
    options : mapping, optional
        Keys of `STUDY_KEYS` from the command line; they win over the section.

    Raises
    ------
    ConfigError
        With every problem found, each with its line.
    """
    folder = (base_dir or FilePath.cwd()).absolute()
    document = parse(
        text, source=source, first_line=first_line, variables=variables, base_dir=folder, tags=TAGS
    )  # fmt: skip
    return plan_of(document, name=name, options=options, text=text, source=source, base_dir=folder)


def plan_of(
    document: Document, *, name: str = "", options: Mapping[str, Any] | None = None, text: str = "", source: str = "",
    base_dir: FilePath | None = None,
) -> StudyPlan:  # fmt: skip
    """Return the study of a document with distributions; see `load_study`."""
    values = copied(document.values)
    section = values.pop("study", None)
    document = Document(values, dict(document.places), dict(document.links), document.warnings, document.imports)
    problems, notes = [], []
    if section is not None and not isinstance(section, Mapping):
        problems.append(document.problem(f"study must be a mapping, received {section!r}", ("study",)))
        section = {}
    section = dict(section or {})
    for key in section:
        if key not in STUDY_KEYS:
            near = nearest(str(key), STUDY_KEYS)
            remedy = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(STUDY_KEYS)}"
            problems.append(document.problem(f"unknown key {key!r} in study", ("study", key), remedy=remedy, key=True))
    given = {k: v for k, v in (options or {}).items() if v is not None and k in STUDY_KEYS}
    asked = {**{k: v for k, v in section.items() if k in STUDY_KEYS}, **given}
    spec, wrong = _spec(document, asked, set(given), name)
    problems += wrong
    if asked.get("space") is not None:
        problems += lay_over(document, asked["space"], ("study", "space"))
    space, wrong = read_space(document)
    problems += wrong
    if not problems and not len(space):
        found = named_space_for(document)
        if found is None:
            message = "there is nothing to search: no value is a distribution"
            raise ConfigError([Problem(message, "write e.g. learning_rate: !loguniform [0.01, 0.3]")], source=source)
        notes.append(f"no value is a distribution, so {found} is searched")
        problems += lay_over(document, found, ())
        space, wrong = read_space(document)
        problems += wrong
    if problems:
        raise ConfigError(_in_order(problems), source=source)
    task = task_of(space.fill(document, space.representative()), source=source, base_dir=base_dir)
    for params in space.variants():  # every option of a choice must make a task
        task_of(space.fill(document, params), source=source, base_dir=base_dir)
    problems = _fits(spec, task, document, section)
    if problems:
        raise ConfigError(_in_order(problems), source=source)
    notes += _without_effect(spec, space)
    if spec.on_test:
        notes.append("trials are chosen on the TEST segment: what the test says afterwards is no test any more")
    return StudyPlan(spec, document, space, task, text, source, str(base_dir or ""), tuple(notes))


def _spec(
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
            wrong(key, f"{value} {key}", f"at least {least}")
            return default
        return value

    def one_of(key: str, default: str, known: Sequence[str]) -> str:
        value = str(asked.get(key, default)).lower()
        if value not in known:
            near = nearest(value, known)
            wrong(key, f"no {key} {value!r}", f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(known)}")
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
        sampler=one_of("sampler", "tpe", SAMPLERS), pruner=one_of("pruner", "median", PRUNERS),
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
            near = nearest(way, DIRECTIONS)
            remedy = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(DIRECTIONS)}"
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
        cv = {"kind": named, **({"folds": int(count)} if count.isdecimal() else {})}
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


def _fits(spec: StudySpec, task: Task, document: Document, section: Mapping[str, Any]) -> list[Problem]:
    """Return what the objectives need and the task lacks."""
    problems = []
    segments = (task.dataset.get("kwargs") or {}).get("segments") if isinstance(task.dataset, Mapping) else None
    if isinstance(segments, Mapping):
        for wanted in {spec.validation.segment, *(("train", "valid") if spec.validation.kind != "holdout" else ())}:
            if wanted not in segments:
                near = nearest(wanted, map(str, segments))
                remedy = f"there is {near[0]!r}" if near else f"add {wanted}: [first day, last day]"
                problems.append(
                    task.problem(f"no segment {wanted!r} to compare trials on", "task.dataset", remedy=remedy)
                )
    records = [str(r.get("class", "")) if isinstance(r, Mapping) else str(r) for r in task.records]
    for objective in spec.objectives:
        if objective.need == "backtest" and not any(r.rpartition(".")[2] == "PortAnaRecord" for r in records):
            path = ("study", "metric") if "metric" in section else ()
            message = f"{objective.metric} needs a backtest, and the task has no PortAnaRecord"
            problems.append(document.problem(message, path, remedy="add a strategy, or use IC"))
    return problems


def _without_effect(spec: StudySpec, space: Space) -> list[str]:
    """Return a note on parameters of the strategy that no objective depends on."""
    if any(o.need == "backtest" for o in spec.objectives):
        return []
    idle = [d.name for d in space.dimensions if "strategy" in d.path]
    if not idle:
        return []
    metrics = ", ".join(o.metric for o in spec.objectives)
    return [f"{', '.join(idle)}: {metrics} does not depend on the strategy; search for information_ratio to tune it"]


def _pool_size() -> int:
    """Return how many workers there can be: ``QNB_WORKERS``, else the cores."""
    given = os.environ.get("QNB_WORKERS", "")
    return max(1, int(given)) if given.isdigit() else core_count()


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda p: (p.line is None, p.line or 0, p.column or 0))


def plan_to_json(plan: StudyPlan) -> dict[str, Any]:
    """Return a plan as JSON values."""
    d = plan.document
    return {
        "spec": plan.spec.to_json(), "text": plan.text, "source": plan.source, "base_dir": plan.base_dir,
        "notes": list(plan.notes),
        "document": {
            "values": d.values, "imports": list(d.imports), "links": [[list(k), list(v)] for k, v in d.links.items()],
            "places": {
                n: [p.line, p.column, p.key_line, p.key_column, p.exact, p.source] for n, p in d.places.items()
            },
        },
    }  # fmt: skip


def plan_from_json(data: Mapping[str, Any]) -> StudyPlan:
    """Return the plan of `plan_to_json`."""
    raw = data["document"]
    document = Document(
        raw["values"], {n: Place(*p) for n, p in raw["places"].items()},
        {tuple(k): tuple(v) for k, v in raw["links"]}, [], tuple(raw["imports"]),
    )  # fmt: skip
    space, _ = read_space(document)
    base = FilePath(data["base_dir"]) if data["base_dir"] else None
    task = task_of(space.fill(document, space.representative()), source=data["source"], base_dir=base)
    return StudyPlan(
        StudySpec.from_json(data["spec"]), document, space, task, data["text"], data["source"], data["base_dir"],
        tuple(data["notes"]),
    )  # fmt: skip
