"""Whatever the text, nothing but a ConfigError comes out, and every line of a problem is a line of the text."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qnb.errors import ConfigError, Problem
from qnb.task.parse import parse
from qnb.task.spec import Task, load_task
from qnb.task.yaml import read_scalar

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
TEXTS = tuple(
    (WORKFLOWS / name).read_text() for name in ("lightgbm_alpha158.yaml", "lightgbm_inline.yaml", "mlp_alpha158.yaml")
)
SHORT = "market: demo\nmodel: {lightgbm: {num_leaves: 8}}\nfeatures: {A: '$close'}\nstrategy: {topk: 3, n_drop: 1}\n"
PIECES = st.sampled_from(
    [
        "", "\n", "  ", "\t", ":", ": ", "- ", "[", "]", "{", "}", "*market", "&x ", "null", "~", "'", '"', "|\n",
        ">\n", "<<: *data_handler_config\n", "!!python/object:os.system ", "!x ", "%YAML 1.1\n", "---\n", "...\n",
        "\x00", "\x85", "\ufeff", "\ud800", "\ue000", "{{", "}}", "{{ x }}", "{% if x %}", "<PRED>", "<task>", "<a.b>",
        "0x", "1e999", "2020-02-30", "__DROP__", "BASE_CONFIG_PATH: x.yaml\n", "sys: {path: 3}\n",
        "kwargs: 3\n", "class: 3\n", "\\x", "é", "😀",
    ]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A workflow with a few pieces cut out and put in."""
    text = draw(st.sampled_from((*TEXTS, SHORT)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        cut = draw(st.integers(0, 12))
        text = text[:at] + draw(PIECES) + text[at + cut :]
    return text


def problems_of(text: str, **options: Any) -> Sequence[Problem]:
    """Load the text; what loads must survive both ways of writing it down."""
    try:
        task = load_task(text, **options)
    except ConfigError as error:
        return error.problems or [Problem("")]
    assert Task.from_json(task.to_json()).hash == task.hash
    assert load_task(task.to_yaml()).hash == task.hash
    return ()


def check(text: str) -> None:
    last = sum(text.count(c) for c in "\n\r\x85\u2028\u2029") + 2
    for problem in problems_of(text, first_line=2, base_dir=WORKFLOWS):
        assert problem.message
        assert problem.line is None or 2 <= problem.line <= last
        assert str(problem)


@settings(max_examples=250, deadline=None)
@given(mutated())
def test_mutated_workflows(text: str) -> None:
    check(text)


@settings(max_examples=250, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=200))
@example("? ? ?")
@example("&a &b c")
@example("%TAG ! tag:x,2000:\n---\n!x a")
@example("a: !<tag:yaml.org,2002:float> x")
@example("a: !!int ''")
@example("%YAML 3.0\n---\na: 1")
@example("%YAML 1.1\n---\na: 1_2:30\nb: 0777\nc: yes\nd: 1:30.5")
@example("a: 2020-01-01 25:00:00")
@example("a: '\\ud800'\n\ud800: 1")
def test_any_text(text: str) -> None:
    check(text)
    with contextlib.suppress(ConfigError):
        parse(text)
    with contextlib.suppress(ConfigError):
        read_scalar(text)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(["task", "model", "kwargs", "0", "dataset", "record", "", "x", "market", "segments"]),
        max_size=5,
    ),
    st.text(max_size=12),
)
def test_any_override(steps: list[str], value: str) -> None:
    override = f"{'.'.join(steps)}={value}"
    assert all(p.message for p in problems_of(TEXTS[0], overrides=(override,)))


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "null\n"])
def test_nothing(text: str) -> None:
    with pytest.raises(ConfigError):
        load_task(text)
