"""The filter grammar: what is read, where a mistake is pointed at, and the same runs as MLflow's own search."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qnb.recorder.base import MetricPoint, ParamSet, RefusedError, TagSet
from qnb.recorder.filters import Condition, SortKey, parse_filter, parse_order
from qnb.recorder.stores import open_store


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("metrics.IC > 0.03", [Condition("metric", "IC", ">", 0.03)]),
        ("metric.IC>=-1e-3", [Condition("metric", "IC", ">=", -0.001)]),
        ("metrics.`Rank IC` != 0", [Condition("metric", "Rank IC", "!=", 0.0)]),
        ('metrics."Rank IC" < 1', [Condition("metric", "Rank IC", "<", 1.0)]),
        ("params.model = 'LGB'", [Condition("param", "model", "=", "LGB")]),
        ('params.model.kwargs.x ilike "a%"', [Condition("param", "model.kwargs.x", "ILIKE", "a%")]),
        ("params.cmd-sys.argv LIKE '%run%'", [Condition("param", "cmd-sys.argv", "LIKE", "%run%")]),
        ("metrics.1day.ffr = 1", [Condition("metric", "1day.ffr", "=", 1.0)]),
        ("tags.a IS NULL and tags.b is not null",
         [Condition("tag", "a", "IS NULL"), Condition("tag", "b", "IS NOT NULL")]),
        ("status = 'FINISHED'", [Condition("attribute", "status", "=", "FINISHED")]),
        ("run_id in ('a', 'b')", [Condition("attribute", "run_id", "IN", ("a", "b"))]),
        ("attr.run_id not in ('a')", [Condition("attribute", "run_id", "NOT IN", ("a",))]),
        ("attributes.Created > 5 AND run.status != 'x'",
         [Condition("attribute", "start_time", ">", 5.0), Condition("attribute", "status", "!=", "x")]),
    ],
)  # fmt: skip
def test_what_is_read(text: str, expected: list[Condition]) -> None:
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("metrics.IC >", 13, "a value was expected"),
        ("metric.IC > 'a'", 13, "a number was expected"),
        ("mertics.IC > 1", 1, "did you mean 'metrics'"),
        ("params.a = 1", 12, "a text in quotes"),
        ("params.a > 'b'", 12, "is for numbers"),
        ("metrics.a LIKE 1", 16, "is for texts"),
        ("metrics.a = 1 or metrics.b = 2", 15, "AND was expected, found 'or'"),
        ("metrics.a IS NULL", 18, "for params and tags"),
        ("start_time in ('a')", 15, "is for run_id"),
        ("run_id in 'a'", 11, "a list like"),
        ("run_id in ('a' 'b')", 16, "a comma or )"),
        ("statuss = 'a'", 1, "did you mean 'status'"),
        ("metrics.a ~ 1", 11, "a comparison was expected"),
        ("metrics.a = 'unclosed", 13, "cannot be read"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, column: int, words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        parse_filter(text)
    assert f"column {column}:" in str(caught.value)
    assert words in str(caught.value)


def test_order() -> None:
    found = parse_order(["metrics.IC DESC", "attributes.start_time", "params.`a b` asc"])
    assert found == [SortKey("metric", "IC", True), SortKey("attribute", "start_time"), SortKey("param", "a b")]
    with pytest.raises(RefusedError, match="nothing more"):
        parse_order(["metrics.IC DOWN"])


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, object, str]:
    """One file with a dozen runs, opened directly and through MLflow."""
    path: Path = tmp_path_factory.mktemp("filters") / "mlflow.db"
    direct = open_store(f"sqlite:///{path}")
    experiment = direct.create_experiment("e")
    values = [0.05, -0.5, 0.0, float("nan"), None, 0.03, 0.03, float("inf"), 2.0, 1e-9, None, 0.031]
    for number, value in enumerate(values):
        run = direct.create_run(
            experiment, ["lgb", "Lgb'x", "linear"][number % 3], tags={}, status=["RUNNING", "FINISHED"][number % 2]
        )
        points = [] if value is None else [MetricPoint("IC", value, 0, 1.0 + number)]
        tags = [TagSet("market", "csi300" if number % 2 else "CSI500")] if number % 4 else []
        direct.log(run.run_id, [*points, *tags, ParamSet("model.name", f"m{number % 5}%_")])
    return direct, open_store(f"mlflow+sqlite:///{path}"), experiment.id


_CLAUSES = st.sampled_from(
    [
        *(f"metrics.IC {op} {n}" for op in ("=", "!=", "<", "<=", ">", ">=") for n in ("0.03", "0", "-0.5", "1e300")),
        "metrics.none > 0", "metrics.none != 0", "params.`model.name` = 'm1%_'", "params.model.name LIKE 'm1%'",
        "params.model.name LIKE 'M1%'", "params.model.name ILIKE 'M1%'", "params.model.name != 'm1%_'",
        "params.model.name LIKE '__\\%\\_'", "tags.market = 'csi300'", "tags.market IS NULL", "tags.market IS NOT NULL",
        "tags.market ILIKE 'CSI%'", "tags.market LIKE '%5%'", "status = 'RUNNING'", "attributes.status != 'RUNNING'",
        "attributes.run_name = 'lgb'", "run_name LIKE 'L%'", "run_id NOT IN ('a', 'b')", "run_id IN ('a')",
        "attributes.start_time > 0", "attributes.end_time > 0", "attributes.run_id != 'a'", "params.none IS NULL",
    ]
)  # fmt: skip
_ORDERS = st.sampled_from(
    ["metrics.IC", "metrics.IC DESC", "params.model.name", "tags.market DESC", "run_id", "attributes.run_name",
     "attributes.start_time ASC", "status DESC", "metrics.none"]
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(clauses=st.lists(_CLAUSES, max_size=3), order=st.lists(_ORDERS, max_size=2, unique_by=lambda o: o.split()[0]))
def test_the_same_runs_as_mlflow_in_the_same_order(
    stores: tuple[object, object, str], clauses: list[str], order: list[str]
) -> None:
    direct, through, experiment = stores
    words = " and ".join(clauses)
    found = [
        [r.run_id for r in store.search([experiment], filter_string=words, order_by=order)]  # type: ignore[attr-defined]
        for store in (direct, through)
    ]
    assert found[0] == found[1]
