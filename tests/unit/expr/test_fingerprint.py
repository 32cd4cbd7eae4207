"""Whatever changes what an operator computes changes its fingerprint; nothing else does, in no process."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import cloudpickle
import pytest

from qnb.expr.fingerprint import operator_fingerprint

OPERATOR = """
import functools
import math
import numpy as np
from qnb.expr import Element, Parameter

WEIGHTS = np.array([1.0, 2.0])
LEVEL = {"low": 1, "high": [2, 3]}
KINDS = {"a", "b", "c"}

def inner(x):
    return x * 2

def helper(x, power=1):
    return inner(x) ** power

def decorated(function):
    @functools.wraps(function)
    def wrapper(self, x):
        return function(self, x) + 1
    return wrapper

def made(scale):
    return lambda x: x * scale

scaled = made(3)
half = functools.partial(helper, power=0.5)

class Config:
    def __init__(self):
        self.depth = 4

config = Config()

class Base(Element):
    signature = (Parameter("x", "series"),)
    offset = 1

class Mine(Base):
    ufunc = np.sin

    @decorated
    def compute(self, x):
        if "a" in {"a", "b", "c"}:
            return helper(x) * LEVEL["low"] + WEIGHTS.sum() + scaled(x) + half(x) + config.depth + len(KINDS)
        return [math.sqrt(v) for v in x if v > 7]

    @classmethod
    def reach(cls, values):
        return super().reach(values)
"""
CHANGES = [
    ("x * 2", "x * 3"), ("power=1", "power=2"), ("[1.0, 2.0]", "[1.0, 2.5]"), ('"low": 1', '"low": 2'),
    ('KINDS = {"a", "b", "c"}', 'KINDS = {"a", "b", "d"}'), ('"c"}:', '"d"}:'), ("+ 1", "+ 2"), ("made(3)", "made(4)"),
    ("0.5", "0.25"), ("depth = 4", "depth = 5"), ("offset = 1", "offset = 2"), ("np.sin", "np.cos"), ("v > 7", "v > 8"),
    ('"series"', '"operand"'), ("math.sqrt", "math.exp"), ("super().reach(values)", "super().reach(values[1:])"),
]  # fmt: skip


def mine(text: str) -> Any:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(text, names)
    return names["Mine"]


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_change_of_the_code_changes_it(before: str, after: str) -> None:
    assert before in OPERATOR
    assert operator_fingerprint(mine(OPERATOR.replace(before, after, 1))) != operator_fingerprint(mine(OPERATOR))


def test_nothing_else_does(tmp_path: Any) -> None:
    own = operator_fingerprint(mine(OPERATOR))
    assert own == operator_fingerprint(mine(f"UNUSED = 1\n\n{OPERATOR}"))
    (tmp_path / "mine.pkl").write_bytes(cloudpickle.dumps(mine(OPERATOR)))
    code = (
        "import sys, cloudpickle; from qnb.expr.fingerprint import operator_fingerprint;"
        "print(operator_fingerprint(cloudpickle.load(open(sys.argv[1], 'rb'))))"
    )
    for seed in ("1", "2"):  # the order of sets
        env = os.environ | {"PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", code, str(tmp_path / "mine.pkl")]
        assert subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip() == own
