"""A study that can start: how it searches, the workflow with its distributions, and how both are read from YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any, TypedDict

from .. import rundir
from ..errors import ConfigError, Problem, nearest, remedy_for
from ..files import fit
from ..secrets import Vault
from ..task.document import Document, Place, copied
from ..task.parse import parse
from ..task.records import records_of
from ..task.spec import Task, task_of
from .asked import spec_of
from .grid import grid_problem
from .overlay import lay_over, named_space_for
from .space import TAGS, Space, read_space
from .spec import STUDY_KEYS, StudySpec

__all__ = ["StudyPlan", "load_study", "plan_from_json", "plan_of", "plan_to_json", "without_secrets"]


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
            problems.append(
                document.problem(
                    f"unknown key {key!r} in study", ("study", key), remedy=remedy_for(str(key), STUDY_KEYS), key=True
                )
            )
    problems += [
        Problem(f"unknown option {k!r} of a study", remedy_for(str(k), STUDY_KEYS))
        for k in options or {}
        if k not in STUDY_KEYS
    ]
    given = {k: v for k, v in (options or {}).items() if v is not None and k in STUDY_KEYS}
    asked = {**{k: v for k, v in section.items() if k in STUDY_KEYS}, **given}
    spec, wrong = spec_of(document, asked, set(given), name)
    problems += wrong
    if "storage" in given:  # what is wrong with it is not wrong in the section
        document.places.pop("study.storage", None)
    if asked.get("space") is not None:
        found = lay_over(document, asked["space"], ("study", "space"))
        problems += [Problem(f"--space: {p.message}", p.remedy) for p in found] if "space" in given else found
    space, wrong = read_space(document)
    problems += wrong
    if not problems and not len(space):
        own = named_space_for(document)
        if own is None:
            message = "there is nothing to search: no value is a distribution"
            raise ConfigError([Problem(message, "write e.g. learning_rate: !loguniform [0.01, 0.3]")], source=source)
        notes.append(f"no value is a distribution, so {own} is searched")
        problems += lay_over(document, own, ())
        space, wrong = read_space(document)
        problems += wrong
    if spec.sampler == "grid":
        problems += [document.problem(p[0], d.path, remedy=p[1]) for d in space.dimensions if (p := grid_problem(d))]
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
    trades = any(facts.trades for facts in records_of(task))
    for objective in spec.objectives:
        if objective.need == "backtest" and not trades:
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


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda p: (p.line is None, p.line or 0, p.column or 0))


def without_secrets(plan: StudyPlan, vault: Vault) -> StudyPlan:
    """Return the plan as it may be written and shown; what is secret in it is kept in `vault`."""
    d = plan.document
    document = Document(vault.hide(d.values), d.places, d.links, d.warnings, d.imports)
    spec = replace(plan.spec, storage=vault.hide(plan.spec.storage))
    task = rundir.without_secrets(plan.task, vault)
    return replace(plan, spec=spec, document=document, task=task, text=vault.hide_text(plan.text))


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
    raw, words = data["document"], fit(_Words, data)
    document = Document(
        raw["values"], {n: Place(*p) for n, p in raw["places"].items()},
        {tuple(k): tuple(v) for k, v in raw["links"]}, [], tuple(raw["imports"]),
    )  # fmt: skip
    space, _ = read_space(document)
    base = FilePath(words["base_dir"]) if words["base_dir"] else None
    task = task_of(space.fill(document, space.representative()), source=words["source"], base_dir=base)
    return StudyPlan(spec=StudySpec.from_json(data["spec"]), document=document, space=space, task=task, **words)


class _Words(TypedDict):
    text: str
    source: str
    base_dir: str
    notes: tuple[str, ...]
