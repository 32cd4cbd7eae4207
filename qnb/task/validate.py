"""Checks a whole document against the sources: keys, classes, arguments, types; all problems at once.

What needs the market data (universes, fields, dates) is checked by `qnb.check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from ..config import Settings
from ..errors import ConfigError, Problem, nearest
from .arguments import check_component, unknown_key
from .document import Document, Path
from .records import PREDICTIONS, RUN_STAGES, RecordFacts, facts_of

__all__ = ["INIT_SECTIONS", "TOP_KEYS", "init_settings", "validate"]

INIT_SECTIONS = ("qlib_init", "qnb_init", "init")
"""Names of the section with the settings; several are laid over each other in this order."""

TOP_KEYS: Mapping[str, str] = {
    "qlib_init": "settings: provider_uri, region ...",
    "qnb_init": "the same under our own name",
    "init": "the same",
    "experiment_name": "experiment to record under",
    "market": "place for an anchor: the universe",
    "benchmark": "place for an anchor: the benchmark",
    "data_handler_config": "place for an anchor: arguments of the handler",
    "port_analysis_config": "place for an anchor: strategy and backtest",
    "task": "model, dataset, record, reweighter",
}
"""Keys of the full form with what they mean."""

TASK_KEYS = ("model", "dataset", "record", "reweighter")

_PEER_ONLY = """
    expression_cache dataset_cache calendar_cache local_cache_path maxtasksperchild joblib_backend default_disk_cache
    mem_cache_size_limit mem_cache_limit_type mem_cache_expire mem_cache_space_limit dataset_cache_dir_name
    features_cache_dir_name redis_host redis_port redis_task_db redis_password logging_config pit_record_type
    pit_record_nan mongo min_data_shift flask_server flask_port queue_host queue_port timeout auto_mount mount_path
    clear_mem_cache skip_if_reg calendar_provider instrument_provider feature_provider pit_provider
    expression_provider dataset_provider provider dump_protocol_version default_exp_name task_url task_db_name
    trade_unit limit_threshold deal_price default_conf
"""
_WITHOUT_MEANING = frozenset(_PEER_ONLY.split())
"""Settings of the peer that there is nothing to set for here."""

_ACCEPTED = frozenset({"kernels", "exp_manager", *Settings.__dataclass_fields__})


def init_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the init sections of a document give, without those that have no meaning here."""
    found: dict[str, Any] = {}
    for name in INIT_SECTIONS:
        section = values.get(name)
        if isinstance(section, Mapping):
            found |= {k: v for k, v in section.items() if k not in _WITHOUT_MEANING}
    return found


def validate(document: Document, *, base_dir: FilePath) -> list[Problem]:
    """Return every problem of a full document that can be seen without market data.

    Parameters
    ----------
    base_dir : Path
        Folder that the document's paths start from, for messages.
    """
    values = document.values
    problems = [*_check_top(document), *_check_init(document)]
    task = values.get("task")
    if task is None:
        problems.append(_no_task(document))
        return problems
    if not isinstance(task, Mapping):
        return [*problems, document.problem(f"task must be a mapping, received {task!r}", ("task",))]
    problems += [unknown_key(document, ("task", k), TASK_KEYS, inside="task") for k in task if k not in TASK_KEYS]
    for part in ("model", "dataset"):
        if part in task:
            problems += check_component(document, ("task", part), task[part], part)
        elif part not in {n for k in task if k not in TASK_KEYS for n in nearest(k, TASK_KEYS, n=1)}:
            problems.append(document.problem(f"task without a {part}", ("task",), remedy=f"write {part}:", key=True))
    if task.get("reweighter") is not None:
        problems += check_component(document, ("task", "reweighter"), task["reweighter"], "reweighter")
    return problems + _check_records(document, task.get("record"))


def _no_task(document: Document) -> Problem:
    near = nearest("task", [k for k in document.values if k not in TOP_KEYS])
    remedy = (
        f"is {near[0]!r} meant?" if near else "write task: with model and dataset, or the short form: model: lightgbm"
    )
    return document.problem("there is no task", (near[0],) if near else (), remedy=remedy, key=True)


def _check_top(document: Document) -> list[Problem]:
    anchored = {str(home[0]) for home in document.links.values()}
    problems = []
    for key in document.values:
        if key not in TOP_KEYS and key not in anchored:
            found = unknown_key(document, (key,), TOP_KEYS)
            message = f"{found.message} is not used"
            remedy = found.remedy if "mean" in found.remedy else "remove it, or refer to it by an anchor"
            problems.append(document.problem(message, (key,), remedy=remedy, severity="warning", key=True))
    name = document.values.get("experiment_name")
    if name is not None and not isinstance(name, str):
        problems.append(document.problem(f"experiment_name must be text, received {name!r}", ("experiment_name",)))
    return problems


def _check_init(document: Document) -> list[Problem]:
    problems: list[Problem] = []
    for section in INIT_SECTIONS:
        given = document.values.get(section)
        if given is None:
            continue
        if not isinstance(given, Mapping):
            message = f"{section} must be a mapping, received {given!r}"
            problems.append(document.problem(message, (section,), remedy="provider_uri: ..."))
            continue
        for key, value in given.items():
            if key in _ACCEPTED:
                problems += _check_setting(document, (section, key), value)
            elif key not in _WITHOUT_MEANING:
                problems.append(unknown_key(document, (section, key), sorted(_ACCEPTED), inside=section))
    return problems


def _check_setting(document: Document, path: Path, value: Any) -> list[Problem]:
    try:
        Settings().with_(**{str(path[-1]): value})
    except ConfigError as error:
        return [document.problem(p.message, path, remedy=p.remedy) for p in error.problems]
    except (TypeError, ValueError, AttributeError):
        return [document.problem(f"{path[-1]} cannot be {value!r}", path, remedy="see the reference of settings")]
    return []


def _check_records(document: Document, records: Any) -> list[Problem]:
    if records is None:
        return []
    listed = isinstance(records, list)
    problems: list[Problem] = []
    predicted = False
    for number, record in enumerate(records if listed else [records]):
        path: Path = ("task", "record", number) if listed else ("task", "record")
        facts = facts_of(record, folders=document.imports)
        found = _check_record(document, path, record, facts)
        predicted = predicted or PREDICTIONS not in facts.needs
        if not predicted and not found:
            message = f"{facts.name} needs the predictions of a SignalRecord"
            found = [document.problem(message, path, remedy="put - SignalRecord before it")]
        if facts.stage in RUN_STAGES and not found:
            message = f"the stage of {facts.name} is {facts.stage!r}, which is one of the run's own"
            found = [document.problem(message, path, remedy="give the class another stage")]
        problems += found
    return problems


def _check_record(document: Document, path: Path, record: Any, facts: RecordFacts) -> list[Problem]:
    problems = check_component(document, path, record, "record")
    config = record.get("kwargs", {}).get("config") if isinstance(record, Mapping) and not problems else None
    if isinstance(config, Mapping) and facts.trades:
        from .portfolio import check_portfolio

        problems += check_portfolio(document, (*path, "kwargs", "config"), config)
    return problems
