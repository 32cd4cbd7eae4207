"""No test holds anything to a number of seconds: a limit of time is a multiple of what is measured beside it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
FILES = sorted(p for p in TESTS.rglob("*.py") if "benchmarks" not in p.parts and p != Path(__file__).resolve())
CLOCKS = ("perf_counter", "monotonic", "process_time", "thread_time", "performance.now")


def absolute_limits(source: str) -> list[int]:
    """Return the lines that assert that a time is less or more than a number.

    What comes from a clock, or from code in a text that reads one, is a time, and so is what is computed from a time.
    """
    tree = ast.parse(source)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    rest = ast.Module([node for node in tree.body if node not in functions], [])
    shared = _times(rest, set())
    while found := {f.name for f in functions if _returns(f, _times(f, shared))} - shared:
        shared |= found
    return [line for scope in (*functions, rest) for line in _limits(scope, _times(scope, shared))]


def _times(scope: ast.AST, shared: set[str]) -> set[str]:
    """Return `shared` and the names in `scope` that are given a time."""
    times, before = set(shared), -1
    while len(times) != before:
        before = len(times)
        for node in ast.walk(scope):
            match node:
                case ast.Assign(targets=targets, value=value) if _mentions(value, times):
                    times |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value]):
                    times |= {name} if _mentions(value, times) else set()
    return times


def _returns(function: ast.FunctionDef, times: set[str]) -> bool:
    return any(isinstance(n, ast.Return) and n.value and _mentions(n.value, times) for n in ast.walk(function))


def _limits(scope: ast.AST, times: set[str]) -> list[int]:
    return [
        node.lineno
        for statement in ast.walk(scope)
        if isinstance(statement, ast.Assert)
        for node in ast.walk(statement.test)
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)
        for one, other in [(node.left, node.comparators[0]), (node.comparators[0], node.left)]
        if _mentions(one, times) and not any(isinstance(n, ast.Name | ast.Call) for n in ast.walk(other))
    ]


def _mentions(value: ast.expr, times: set[str]) -> bool:
    for node in ast.walk(value):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word):
                if word in CLOCKS or word in times:
                    return True
            case ast.Constant(value=str(text)):
                if any(clock in text for clock in CLOCKS):
                    return True
    return False


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(TESTS)))
def test_no_test_holds_to_seconds(path: Path) -> None:
    assert not absolute_limits(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("began = time.monotonic()\nassert time.monotonic() - began < 5", [2]),
        ("took.append(time.perf_counter() - began)\nassert sorted(took)[3] < 50e-6", [2]),
        ("RUN = 'performance.now() - began'\ns = [page.evaluate(RUN) / 1000]\nassert 0.2 * 2 > min(s[6:])", [3]),
        ("def told():\n    return time.time_ns(), process_time()\nsaid, s = told()\nassert s < 3", [4]),
        ("began = time.monotonic()\nassert time.monotonic() - began < 500 * yardstick()", []),
        ("end = time.monotonic() + 60\nassert time.monotonic() < end, 'a wait'", []),
        ("assert len(lines) < 1000", []),
    ],
)
def test_such_a_limit_is_found(source: str, found: list[int]) -> None:
    assert absolute_limits(source) == found
