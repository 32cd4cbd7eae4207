"""Runs a file of the peer's old tuner: a pipeline of stages, each a study of model, strategy and label spaces.

The peer's own tuner no longer runs. What its file says is read as follows.

- ``tuner_pipeline[i]``: model, strategy and data_label with their ``space``; ``max_evals`` trials (default 10).
- ``optimization_criteria``: report_type and report_factor name the metric, optim_type the direction. Trials are
  compared on the validation days; the old tuner used the test days, which ``segment: test`` brings back, with a
  warning.
- ``time_period``, ``data``, ``backtest``, ``qlib_client``: segments, handler, exchange and settings.
- Each stage leaves ``local_best_params.json``, the pipeline ``global_best_params.json``, below the experiment's folder.

A file that was interrupted goes on where it was: stages that are over are not run again, nor are trials.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Any, TypedDict

from ..config import Settings
from ..errors import ConfigError, Problem, StudyError, remedy_for
from ..files import fit, read_json, tell, write_atomically
from ..names import wrong_with
from ..task.aliases import is_peer_path
from ..task.document import Document, Path, copied
from ..task.file import workflow_text
from ..task.parse import parse
from . import events as ev
from .engine import manage
from .objectives import Objective
from .open import open_study
from .plan import StudyPlan, plan_of
from .state import StudyState, TrialState
from .studydir import find_study

__all__ = ["FACTORS", "OPTIM_TYPES", "REPORT_TYPES", "is_old_schema", "read_pipeline", "run_pipeline"]

REPORT_TYPES = (
    "pred_long", "pred_long_short", "pred_short", "excess_return_without_cost", "excess_return_with_cost", "model",
)  # fmt: skip
FACTORS = (
    "annualized_return", "information_ratio", "max_drawdown", "mean", "std", "model_score", "model_pearsonr",
)  # fmt: skip
OPTIM_TYPES = {"max": "maximize", "min": "minimize", "correlation": "correlation"}
_SECTIONS = (
    "experiment", "tuner_pipeline", "optimization_criteria", "time_period", "data", "backtest", "qlib_client",
)  # fmt: skip
_HANDLERS = {
    "ALPHA360": "Alpha360",
    "ALPHA158": "Alpha158",
    "QLibDataHandlerV1": "Alpha158",
    "QLibDataHandler": "Alpha158",
}
_PERIODS = {"train": "train", "valid": "validate", "test": "test"}


def is_old_schema(text: str) -> bool:
    """Return whether a text is a file of the old tuner."""
    return re.search(r"^tuner_pipeline\s*:", text, re.MULTILINE) is not None


def read_pipeline(
    text: str, *, source: str, base_dir: FilePath, options: Mapping[str, Any] | None = None
) -> tuple[FilePath, list[StudyPlan]]:
    """Return the folder for the results and a plan for each stage.

    Raises
    ------
    ConfigError
        With every problem of the file that can be seen.
    """
    document = parse(text, source=source, base_dir=base_dir)
    reader = _Reader(document)
    reader.check()
    if reader.problems:
        raise ConfigError(reader.problems, source=source)
    folder = reader.folder(base_dir)
    plans = []
    for number in range(len(document.values["tuner_pipeline"])):
        own, name = reader.stage(number)
        given = {k: v for k, v in (options or {}).items() if k not in ("metric", "direction", "space")}
        plans.append(plan_of(own, name=name, options=given, text=text, source=source, base_dir=base_dir))
    return folder, plans


def run_pipeline(
    file: FilePath,
    settings: Settings,
    *,
    options: Mapping[str, Any] | None = None,
    listeners: tuple[ev.EmitStudy, ...] = (),
    stop: Callable[[], bool] = lambda: False,
) -> str:
    """Run the stages of a file one after the other and return the status of the last that ran.

    Raises
    ------
    ConfigError, StudyError
        The file is wrong, or a stage cannot be run.
    """
    text = workflow_text(file)
    folder, plans = read_pipeline(text, source=str(file), base_dir=file.parent, options=options)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "pipeline.json"
    known = _known(kept, text)
    winners: list[tuple[int, StudyPlan, TrialState]] = []
    for number, plan in enumerate(plans):
        own = settings.with_(**plan.task.settings)
        state = _finished_stage(own, known, number)
        if state is None:
            directory = open_study(plan, own, resume=_can_resume(own, plan, known, number))
            known["stages"][str(number)] = {"study": directory.study_id, "finished": False}
            write_atomically(kept, json.dumps(known, indent=1))
            state = manage(directory, listeners=listeners, stop=stop)
            if state.status != "finished":
                return state.status
            known["stages"][str(number)]["finished"] = True
            write_atomically(kept, json.dumps(known, indent=1))
        best = state.best
        if best is None:
            raise StudyError(f"stage {number} of the pipeline has no complete trial; its log says why")
        winners.append((number, plan, best))
        local = folder / f"{number}_{_class_of(plan.task.model)}" / "local_best_params.json"
        local.parent.mkdir(exist_ok=True)
        write_atomically(local, json.dumps(_best(plan, best), indent=1))
    objective = plans[0].spec.objectives[0]
    number, plan, best = _winner(winners, objective)
    write_atomically(
        folder / "global_best_params.json", json.dumps({"best_tuner_index": number, **_best(plan, best)}, indent=1)
    )
    return "finished"


class _Reader:
    """Translates one file."""

    def __init__(self, document: Document) -> None:
        self.document, self.values = document, document.values
        self.problems: list[Problem] = []

    def check(self) -> None:
        """Collect what is wrong with the sections."""
        for key in self.values:
            if key not in _SECTIONS:
                self._unknown(key, _SECTIONS, (key,))
        for key in ("tuner_pipeline", "optimization_criteria", "time_period", "data"):
            if key not in self.values:
                self.problems.append(Problem(f"the tuner's file has no {key}", "add it"))
        stages = self.values.get("tuner_pipeline")
        if "tuner_pipeline" in self.values and (not isinstance(stages, list) or not stages):
            self._wrong("tuner_pipeline must be a list of stages", ("tuner_pipeline",), "- model: {class: LGBModel}")
        for number, stage in enumerate(stages if isinstance(stages, list) else []):
            if not isinstance(stage, Mapping) or not isinstance(stage.get("model"), Mapping):
                self._wrong("a stage needs a model", ("tuner_pipeline", number), "model: {class: LGBModel, space: ...}")
        criteria = self._section("optimization_criteria")
        kind, factor = criteria.get("report_type", "pred_long"), criteria.get("report_factor", "information_ratio")
        for key, value, valid in (
            ("report_type", kind, REPORT_TYPES), ("report_factor", factor, FACTORS),
            ("optim_type", criteria.get("optim_type", "max"), tuple(OPTIM_TYPES)),
        ):  # fmt: skip
            if value not in valid:
                self._unknown(value, valid, ("optimization_criteria", key), what=key)
        if (kind == "model") != str(factor).startswith("model_") and not self.problems:
            fits = "model_score or model_pearsonr" if kind == "model" else "annualized_return, information_ratio ..."
            self._wrong(
                f"{kind} has no factor {factor!r}", ("optimization_criteria", "report_factor"), f"valid: {fits}"
            )
        folder = str(self._section("experiment").get("name", "tuner_experiment"))
        if reason := wrong_with(folder):
            what = f"the experiment's name {folder!r} cannot name a folder: {reason}"
            self._wrong(what, ("experiment", "name"), "choose another name; dir and tuner_ex_dir say where")
        period = self._section("time_period")
        for name in _PERIODS.values():
            for end in ("start", "end"):
                if "time_period" in self.values and f"{name}_{end}_date" not in period:
                    self._wrong(f"time_period has no {name}_{end}_date", ("time_period",), "write 2015-01-01")

    def folder(self, base_dir: FilePath) -> FilePath:
        """Return where results go: ``tuner_ex_dir``, else ``dir/name``."""
        section = self._section("experiment")
        name = str(section.get("name", "tuner_experiment"))
        place = section.get("tuner_ex_dir") or FilePath(str(section.get("dir", "."))) / name
        path = FilePath(str(place)).expanduser()
        return path if path.is_absolute() else base_dir / path

    def stage(self, number: int) -> tuple[Document, str]:
        """Return the workflow of a stage, with its section ``study``, and the study's name."""
        stage = self.values["tuner_pipeline"][number]
        here: Path = ("tuner_pipeline", number)
        segments = self._segments()
        strategy = dict(stage.get("strategy") or {"class": "TopkDropoutStrategy", "kwargs": {"topk": 50, "n_drop": 5}})
        criteria = self._section("optimization_criteria")
        metric = f"{criteria.get('report_type', 'pred_long')}.{criteria.get('report_factor', 'information_ratio')}"
        spaces = {
            target: stage[part]["space"]
            for part, target in (("model", "model"), ("strategy", "strategy"), ("data_label", "label"))
            if isinstance(stage.get(part), Mapping) and stage[part].get("space")
        }
        experiment = str(self._section("experiment").get("name", "tuner_experiment"))
        values: dict[str, Any] = {
            "qnb_init": self._init(),
            "experiment_name": experiment,
            "task": {
                "model": _component(stage["model"]),
                "dataset": copied(stage["dataset"]) if isinstance(stage.get("dataset"), Mapping) else {
                    "class": "DatasetH", "kwargs": {"handler": self._handler(segments), "segments": segments},
                },
                "record": [
                    {"class": "SignalRecord", "kwargs": {"model": "<MODEL>", "dataset": "<DATASET>"}},
                    {"class": "SigAnaRecord", "kwargs": {}},
                    {"class": "PortAnaRecord", "kwargs": {"config": {
                        "strategy": _component(strategy, signal="<PRED>"), "backtest": self._backtest(segments),
                    }}},
                ],
            },
            "study": {
                "trials": stage.get("max_evals", 10), "metric": metric,
                "direction": OPTIM_TYPES[criteria.get("optim_type", "max")],
                "segment": criteria.get("segment", "valid"), **({"space": spaces} if spaces else {}),
            },
        }  # fmt: skip
        places = dict(self.document.places)
        links = {
            "task.model": (*here, "model"), "task.record.2.kwargs.config.strategy": (*here, "strategy"),
            "study.trials": (*here, "max_evals"), "study.space.model": (*here, "model", "space"),
            "study.space.strategy": (*here, "strategy", "space"), "study.space.label": (*here, "data_label", "space"),
            "study.metric": ("optimization_criteria", "report_type"), "task.dataset": ("data",),
            "task.model.kwargs": (*here, "model", "kwargs"),
        }  # fmt: skip
        for target, source in links.items():
            begin = ".".join(map(str, source))
            for name, place in self.document.places.items():
                if name == begin or name.startswith(begin + "."):
                    places.setdefault(target + name[len(begin) :], place)
        own = Document(values, places, {}, list(self.document.warnings), self.document.imports)
        return own, f"{experiment}-{number}-{_class_of(values['task']['model'])}"

    def _init(self) -> dict[str, Any]:
        client, data = self._section("qlib_client"), self._section("data")
        found = {k: v for k, v in client.items() if k in ("provider_uri", "region", "logging_level")}
        if data.get("provider_uri"):
            found["provider_uri"] = data["provider_uri"]
        return found or {"provider_uri": "demo"}

    def _segments(self) -> dict[str, list[Any]]:
        period = self._section("time_period")
        return {n: [period[f"{old}_start_date"], period[f"{old}_end_date"]] for n, old in _PERIODS.items()}

    def _handler(self, segments: Mapping[str, list[Any]]) -> dict[str, Any]:
        data = self._section("data")
        given = str(data.get("class", "Alpha158"))
        args = dict(data.get("args") or {})
        kwargs: dict[str, Any] = {
            "start_time": args.get("start_date", segments["train"][0]),
            "end_time": args.get("end_date", segments["test"][1]),
            "fit_start_time": segments["train"][0], "fit_end_time": segments["train"][1],
        }  # fmt: skip
        chosen = data.get("filter") or {}
        kwargs["instruments"] = chosen.get("market") or args.get("market") or "all"
        pipe = [_filter(f) for f in chosen.get("filter_pipeline") or ()]
        if pipe:
            kwargs["filter_pipe"] = pipe
        labels = args.get("labels") or data.get("labels")
        if labels:
            kwargs["label"] = labels if isinstance(labels, list) else [labels]
        return {"class": _HANDLERS.get(given, given), "kwargs": kwargs}

    def _backtest(self, segments: Mapping[str, list[Any]]) -> dict[str, Any]:
        section = self._section("backtest")
        args = dict(section.get("normal_backtest_args") or {})
        exchange = {
            k: args[k] for k in ("limit_threshold", "deal_price", "open_cost", "close_cost", "min_cost") if k in args
        }
        found = {
            "start_time": segments["test"][0], "end_time": segments["test"][1],
            "account": args.get("account", 1e8), "exchange_kwargs": exchange,
        }  # fmt: skip
        found["benchmark"] = args.get("benchmark", "DMINDEX" if self._init()["provider_uri"] == "demo" else "SH000300")
        return found

    def _section(self, name: str) -> Mapping[str, Any]:
        found = self.values.get(name)
        if found is not None and not isinstance(found, Mapping):
            self._wrong(f"{name} must be a mapping", (name,), "name: value")
        return found if isinstance(found, Mapping) else {}

    def _unknown(self, value: Any, known: tuple[str, ...], path: Path, what: str = "key") -> None:
        remedy = remedy_for(str(value), known)
        self._wrong(f"unknown {what} {value!r}", path, remedy)

    def _wrong(self, message: str, path: Path, remedy: str) -> None:
        problem = self.document.problem(message, path, remedy=remedy)
        if problem not in self.problems:
            self.problems.append(problem)


def _component(part: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return a component of the old file; its module is kept unless it is one of the peer's that are no more."""
    made: dict[str, Any] = {"class": part.get("class"), "kwargs": {**more, **copied(part.get("kwargs") or {})}}
    module = part.get("module_path")
    if isinstance(module, str) and not is_peer_path(module):
        made["module_path"] = module
    return made


def _filter(given: Any) -> dict[str, Any]:
    names = {"fstart_time": "filter_start_time", "fend_time": "filter_end_time"}
    kwargs: dict[str, Any] = {
        names.get(str(k), str(k)): v for k, v in dict(given.get("args") or given.get("kwargs") or {}).items()
    }
    return {"filter_type": given.get("class"), **{n: kwargs.pop(n, None) for n in names.values()}, **kwargs}


def _best(plan: StudyPlan, best: TrialState) -> dict[str, Any]:
    """Return the winner's values by space, as the old tuner wrote them."""
    found: dict[str, Any] = {"model_space": {}, "strategy_space": {}, "data_label_space": {}}
    for dimension in plan.space.dimensions:
        if dimension.name not in best.params:
            continue
        path = [str(p) for p in dimension.path]
        part = "model_space" if "model" in path[:2] else "strategy_space" if "strategy" in path else "data_label_space"
        key = dimension.name if part != "data_label_space" else "labels"
        found[part][key] = best.params[dimension.name]
    objective = plan.spec.objectives[0]
    return {**found, "metric": objective.metric, "value": best.values[0], "trial": best.number, **_segment(plan)}


def _segment(plan: StudyPlan) -> dict[str, str]:
    from .keeper import RED

    return {"segment": "test", "warning": RED} if plan.spec.on_test else {"segment": "valid"}


def _winner(
    winners: list[tuple[int, StudyPlan, TrialState]], objective: Objective
) -> tuple[int, StudyPlan, TrialState]:
    found = winners[0]
    for other in winners[1:]:
        if objective.better(other[2].values[0], found[2].values[0]):
            found = other
    return found


class _Stage(TypedDict):
    study: str
    finished: bool


class _Known(TypedDict, total=False):
    file: str
    stages: Mapping[str, _Stage]


def _known(path: FilePath, text: str) -> dict[str, Any]:
    """Return what is known of earlier runs of the same file."""
    mark = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    remedy = "the stages of the file are searched anew"
    found = fit(_Known, read_json(path, remedy=remedy) or {}, lambda what: tell(path, what, remedy))
    return {"stages": {}, **found} if found.get("file") == mark else {"file": mark, "stages": {}}


def _finished_stage(settings: Settings, known: Mapping[str, Any], number: int) -> StudyState | None:
    stage = known["stages"].get(str(number))
    if not stage or not stage["finished"]:
        return None
    state = StudyState()
    for event in ev.EventReader(find_study(settings, stage["study"]).path).read_new():
        state.apply(event)
    return state


def _can_resume(settings: Settings, plan: StudyPlan, known: Mapping[str, Any], number: int) -> bool:
    stage = known["stages"].get(str(number))
    return bool(stage) and find_study(settings, plan.spec.name).study_id == stage["study"]


def _class_of(model: Any) -> str:
    return str(model.get("class", "model")) if isinstance(model, Mapping) else "model"
