"""Conditions and sort keys as SQL over MLflow's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .filters import Condition, SortKey

__all__ = ["ID_START", "SAYING", "said_table", "search_statement", "selection"]

_TABLES = {"metric": "latest_metrics", "param": "params", "tag": "tags"}
_COLUMN = {"run_id": "run_uuid"}
_SORTED = {"run_name": "name", "seconds": "(end_time - start_time)"}
SAYING = ("model", "model.class", "dataset.class", "dataset.kwargs.handler.class")
"""Params in which a typed word is looked for, beside names and tags."""
ID_START = 6
"""Letters of a word from which on it is compared with the start of a run's id; a shorter one fits some by chance."""


def search_statement(
    experiment_ids: Sequence[str],
    conditions: Sequence[Condition],
    order: Sequence[SortKey],
    *,
    deleted: bool | None,
    limit: int,
) -> tuple[str, list[Any]]:
    """Return what follows ``SELECT ... FROM runs`` and its values; texts of the user only ever become values."""
    where, values = selection(experiment_ids, conditions, order, deleted=deleted)
    return f"{where} LIMIT ?", [*values, limit]


def selection(
    experiment_ids: Sequence[str],
    conditions: Sequence[Condition],
    order: Sequence[SortKey],
    *,
    deleted: bool | None = False,
    words: Sequence[str] = (),
) -> tuple[str, list[Any]]:
    """Return condition and order without a limit; each of `words` is in a name, id, tag, model or handler.

    With words the statement needs `said_table` before its SELECT.
    """
    marks = ",".join("?" * len(experiment_ids))
    clauses = [f"experiment_id IN ({marks})"]
    values: list[Any] = [str(i) for i in experiment_ids]
    if deleted is not None:
        clauses.append("lifecycle_stage = ?")
        values.append("deleted" if deleted else "active")
    for condition in conditions:
        clause, more = _clause(condition)
        clauses.append(clause)
        values += more
    for word in words:
        clause, more = _word(word.lower())
        clauses.append(clause)
        values += more
    keys, more = _order(order)
    return f"WHERE {' AND '.join(clauses)} ORDER BY {keys}", [*values, *more]


def said_table() -> str:
    """Return the table ``said`` for what words are looked for in among the params: read once, not once a word."""
    keys = ",".join(f"'{key}'" for key in SAYING)
    return f"WITH said AS (SELECT run_uuid, lower(value) AS value FROM params WHERE key IN ({keys}))"  # noqa: S608


def _clause(condition: Condition) -> tuple[str, list[Any]]:
    if condition.kind == "attribute" and condition.key != "run_name":
        column = _COLUMN.get(condition.key, condition.key)
        clause, values = _comparison(column, condition)
        return clause, values
    table, key = (
        ("tags", "mlflow.runName") if condition.kind == "attribute" else (_TABLES[condition.kind], condition.key)
    )
    inner = f"SELECT 1 FROM {table} AS x WHERE x.run_uuid = runs.run_uuid AND x.key = ?"  # noqa: S608 - constants
    if condition.operator == "IS NULL":
        return f"NOT EXISTS ({inner})", [key]
    if condition.operator == "IS NOT NULL":
        return f"EXISTS ({inner})", [key]
    clause, values = _comparison("x.value", condition)
    if condition.kind == "metric":  # a NaN is kept as 0 with a mark; it differs from everything
        clause = f"({clause} OR x.is_nan)" if condition.operator == "!=" else f"({clause} AND NOT x.is_nan)"
    return f"EXISTS ({inner} AND {clause})", [key, *values]


def _word(word: str) -> tuple[str, list[Any]]:
    parts = [
        "instr(lower(name), ?)",
        "experiment_id IN (SELECT experiment_id FROM experiments WHERE instr(lower(name), ?))",
        "run_uuid IN (SELECT run_uuid FROM tags WHERE substr(key, 1, 7) != 'mlflow.' "
        "AND (instr(lower(key), ?) OR instr(lower(value), ?)))",
        "run_uuid IN (SELECT run_uuid FROM said WHERE instr(value, ?))",
    ]
    values = [word] * 5
    if len(word) >= ID_START:
        parts, values = [*parts, "instr(run_uuid, ?) = 1"], [*values, word]
    return f"({' OR '.join(parts)})", values


def _comparison(column: str, condition: Condition) -> tuple[str, list[Any]]:
    match condition.operator:
        case "IN" | "NOT IN":
            marks = ",".join("?" * len(condition.value))
            return f"{column} {condition.operator} ({marks})", list(condition.value)
        case "ILIKE":
            return f"LOWER({column}) LIKE LOWER(?)", [condition.value]
        case operator:
            return f"{column} {operator} ?", [condition.value]


def _order(order: Sequence[SortKey]) -> tuple[str, list[Any]]:
    """Values first, then NaN, then what has none; at last newest first."""
    terms: list[str] = []
    values: list[Any] = []
    for key in order:
        direction = "DESC" if key.descending else "ASC"
        if key.kind == "attribute":
            column = _COLUMN.get(key.key, _SORTED.get(key.key, key.key))
            terms += [f"{column} IS NULL", f"{column} {direction}"]
            continue
        inner = f"FROM {_TABLES[key.kind]} AS x WHERE x.run_uuid = runs.run_uuid AND x.key = ?"
        rank = "SELECT x.is_nan" if key.kind == "metric" else "SELECT 0"
        terms += [f"IFNULL(({rank} {inner}), 2)", f"(SELECT x.value {inner}) {direction}"]
        values += [key.key, key.key]
    return ", ".join([*terms, "start_time DESC", "run_uuid"]), values
