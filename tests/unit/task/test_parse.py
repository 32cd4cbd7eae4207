"""Text to document: YAML 1.2, places, Jinja2, base files, sys, references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qnb.errors import ConfigError, Problem
from qnb.task.parse import fill_references, parse
from qnb.task.yaml import read_scalar


def problems_of(text: str, **options: Any) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text, **options)
    return caught.value.problems


def test_yaml_1_2_scalars() -> None:
    text = """\
    rate: 1e-3
    word: yes
    off: on
    octal: 0o17
    hexa: 0xFF
    big: 100_000
    day: 2008-01-01
    moment: 2020-08-01 15:00:00
    nothing: ~
    empty:
    truth: true
    infinite: .inf
    quoted: "1"
    """
    assert parse(text).values == {
        "rate": 0.001, "word": "yes", "off": "on", "octal": 15, "hexa": 255, "big": 100_000, "day": "2008-01-01",
        "moment": "2020-08-01 15:00:00", "nothing": None, "empty": None, "truth": True, "infinite": float("inf"),
        "quoted": "1",
    }  # fmt: skip


def test_anchors_aliases_and_merge_keys() -> None:
    text = """\
    base: &base {a: 1, b: 2}
    more: &more {c: 3}
    one: {<<: *base, b: 20}
    two:
      <<: [*more, *base]
      c: 30
    list: [*base]
    """
    values = parse(text).values
    assert values["one"] == {"b": 20, "a": 1}
    assert values["two"] == {"c": 30, "a": 1, "b": 2}
    assert values["list"] == [{"a": 1, "b": 2}]


def test_places_of_keys_and_values() -> None:
    text = "a:\n  b: &x 'Mean($close, 5)'\n  c: [1,\n      2]\nd: *x\n"
    places = parse(text, first_line=2).places
    assert (places["a"].key_line, places["a.b"].line, places["a.b"].column) == (2, 3, 10)
    assert (places["a.c.1"].line, places["a.c.1"].column) == (5, 7)
    assert (places["d"].key_line, places["d"].line) == (6, 3)
    assert places["a.b"].exact


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' stands here for the second time"),
        ("a:\n  b: 1\n   c: 2\n", 3, "mapping values are not allowed"),
        ("a: [1, 2\nb: 3\n", 2, "expected ',' or ']'"),
        ("a:\n\tb: 1\n", 2, "cannot start any token"),
        ("a: *nowhere\n", 1, "undefined alias 'nowhere'"),
        ("a: 1\nday: 2008-13-45\n", 2, "no date: '2008-13-45'"),
        ("a: 1\n---\nb: 2\n", 2, "found another document"),
        ("- a\n- b\n", 1, "a workflow is a mapping"),
        ("a: 1\n? [x]\n: 2\n", 2, "a key must be text"),
        ("a: &a [1, *a]\n", 1, "an alias inside of what it stands for"),
    ],
)
def test_wrong_yaml_names_the_line(text: str, line: int, message: str) -> None:
    (problem, *_) = problems_of(text, first_line=1)
    assert message in problem.message
    assert problem.line == line
    assert problems_of(text, first_line=5)[0].line == line + 4


def test_all_duplicates_at_once() -> None:
    assert [p.line for p in problems_of("a: 1\na: 2\nb: 1\nb: 2\n")] == [2, 4]


@pytest.mark.parametrize(
    "tag",
    ["!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!custom x", "!!binary aGk=", "!!set {a}"],
)
def test_tags_that_make_objects_are_refused(tag: str) -> None:
    (problem,) = problems_of(f"a: 1\nb: {tag}\n")
    assert problem.line == 2
    assert "is not allowed" in problem.message


def test_an_alias_bomb_is_limited() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (problem,) = problems_of("\n".join(lines))
    assert "aliases expand without end" in problem.message


def test_a_merge_bomb_is_limited() -> None:
    lines = ["a0: &a0 {x0: 1, y0: 1}"]
    lines += [f"a{n}: &a{n} {{p{n}: *a{n - 1}, q{n}: *a{n - 1}, <<: *a{n - 1}}}" for n in range(1, 40)]
    assert "aliases expand without end" in problems_of("\n".join(lines))[0].message


def test_deep_nesting_is_limited() -> None:
    assert "nested too deeply" in problems_of("a: " + "[" * 200 + "]" * 200)[0].message
    assert "nested too deeply" in problems_of("a: " + "[" * 20_000 + "]" * 20_000)[0].message


def test_long_text_is_refused() -> None:
    assert "characters" in problems_of("a: " + "x" * 1_100_000)[0].message


def test_variables_of_the_notebook_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QNB_TEST_TOPK", "30")
    assert parse("topk: {{ QNB_TEST_TOPK }}\n").values == {"topk": 30}
    assert parse("topk: {{ QNB_TEST_TOPK }}\n", variables={"QNB_TEST_TOPK": 40}).values == {"topk": 40}


def test_values_are_written_as_yaml_reads_them() -> None:
    variables = {"flag": True, "nothing": None, "days": [5, 10], "kw": {"a": 1}, "rate": 1e-05}
    text = "a: {{ flag }}\nb: {{ nothing }}\nc: {{ days }}\nd: {{ kw }}\ne: {{ rate }}\n"
    expected = {"a": True, "b": None, "c": [5, 10], "d": {"a": 1}, "e": 1e-05}
    assert parse(text, variables=variables).values == expected


def test_a_missing_variable_is_a_warning_with_its_line() -> None:
    document = parse("a: 1\nb: {{ NO_SUCH_VARIABLE_X }}\n", first_line=2)
    assert document.values == {"a": 1, "b": None}
    (warning,) = document.warnings
    assert (warning.severity, warning.line) == ("warning", 3)
    assert "'NO_SUCH_VARIABLE_X' is not given" in warning.message


def test_lines_survive_loops_and_blocks() -> None:
    text = """\
{% set days = [5, 10] %}
a: 1
features:
{%- for d in days %}
  - Mean($close, {{ d }})
{%- endfor %}
{% if big -%}
b: 1
{% endif %}
c: 2
d: {{ long }}
e: 3
e: 4
"""
    (problem,) = problems_of(text, variables={"big": True, "long": '"x\n  y"'})
    assert problem.line == 13
    document = parse(text.replace("e: 4\n", ""), variables={"big": False, "long": "1"})
    places = document.places
    assert document.values["features"] == ["Mean($close, 5)", "Mean($close, 10)"]
    assert [places[p].line for p in ("a", "features.0", "features.1", "c", "d", "e")] == [2, 5, 5, 10, 11, 12]
    assert not places["features.0"].exact
    assert places["c"].exact


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: {{ 1 +\n", 1), ("a: 1\nb: {% for %}\n", 2), ("a: {{ (1/0) }}\n", None), ("a: {% include 'x' %}\n", None)],
)
def test_wrong_templates(text: str, line: int | None) -> None:
    (problem,) = problems_of(text)
    assert problem.message.startswith("template")
    assert problem.line == line


@pytest.mark.parametrize(
    "expression",
    [
        "''.__class__.__mro__[1].__subclasses__()",
        "x.__class__.__init__.__globals__",
        "'a' * 10**9",
        "10**10**10",
        "range(10**9)|list",
    ],
)
def test_the_sandbox(expression: str) -> None:
    try:
        values = parse(f"a: {{{{ {expression} }}}}\n", variables={"x": "text"}).values
    except ConfigError as error:
        assert "template" in str(error)  # noqa: PT017
    else:
        assert values == {"a": None}


def test_a_template_that_grows_is_stopped() -> None:
    text = "a: {% for i in range(90000) %}{% for j in range(90000) %}xxxxxxxxxxxxxxxxxxxx{% endfor %}{% endfor %}"
    assert "grows without end" in problems_of(text)[0].message


def test_base_config(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("a: {x: 1, y: 2}\nlist: [1, 2]\ngone: 1\nm: &m csi300\nuse: *m\n")
    text = "BASE_CONFIG_PATH: base.yaml\na: {y: 20, z: 30}\nlist: [3]\ngone: __DROP__\n"
    document = parse(text, base_dir=tmp_path)
    assert document.values == {"a": {"x": 1, "y": 20, "z": 30}, "list": [3], "m": "csi300", "use": "csi300"}
    assert (document.places["a.x"].source, document.places["a.x"].line) == ("base.yaml", 1)
    assert (document.places["a.y"].source, document.places["a.y"].line) == ("", 2)
    assert document.problem("wrong", ("a", "x")).message == "base.yaml, line 1: wrong"


def test_base_of_base_and_circle(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("a: 1\nb: 1\n")
    (tmp_path / "two.yaml").write_text("BASE_CONFIG_PATH: one.yaml\nb: 2\n")
    assert parse("BASE_CONFIG_PATH: two.yaml\nc: 3\n", base_dir=tmp_path).values == {"a": 1, "b": 2, "c": 3}
    (tmp_path / "me.yaml").write_text("BASE_CONFIG_PATH: me.yaml\n")
    assert "built on itself" in problems_of("BASE_CONFIG_PATH: me.yaml\n", base_dir=tmp_path)[0].message


def test_base_that_is_missing_or_wrong(tmp_path: Path) -> None:
    (problem,) = problems_of("a: 1\nBASE_CONFIG_PATH: none.yaml\n", base_dir=tmp_path)
    assert (problem.line, "no file 'none.yaml'" in problem.message) == (2, True)
    (tmp_path / "bad.yaml").write_text("a: 1\na: 2\n")
    (problem,) = problems_of("BASE_CONFIG_PATH: bad.yaml\n", base_dir=tmp_path)
    assert problem.message.startswith("bad.yaml, line 2:")


def test_sys_and_python_files(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    text = f"sys:\n  rel_path: lib\n  path: [{tmp_path}]\nmodel: {{class: M, module_path: sub/m.py}}\n"
    document = parse(text, base_dir=tmp_path)
    assert document.imports == (str(tmp_path / "lib"), str(tmp_path))
    assert "sys" not in document.values
    assert document.values["model"]["module_path"] == str(tmp_path / "sub/m.py")


def test_sys_with_a_wrong_key_and_a_missing_folder(tmp_path: Path) -> None:
    (problem,) = problems_of("a: 1\nsys:\n  relpath: x\n", base_dir=tmp_path)
    assert (problem.line, problem.remedy) == (3, "did you mean 'rel_path'?")
    document = parse("sys: {rel_path: nowhere}\n", base_dir=tmp_path)
    assert [w.severity for w in document.warnings] == ["warning"]


def test_references() -> None:
    text = """\
    market: csi300
    task:
      dataset: {segments: {train: [2008-01-01, 2014-12-31]}}
      fit: <dataset.segments.train.1>
      where: <market>
      all: <task.dataset.segments>
      again: <fit>
      later: [<MODEL>, <DATASET>, <PRED>]
    """
    document = parse(text)
    assert fill_references(document) == []
    task = document.values["task"]
    assert (task["fit"], task["where"], task["again"]) == ("2014-12-31", "csi300", "2014-12-31")
    assert task["all"] == {"train": ["2008-01-01", "2014-12-31"]}
    assert task["later"] == ["<MODEL>", "<DATASET>", "<PRED>"]


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("a: 1\nb: <MODLE>\n", 2, "did you mean <MODEL>?"),
        ("a: {bc: 1}\nb: <a.bd>\n", 2, "did you mean <a.bc>?"),
        ("a:\n  b: <a>\n", 2, ""),
    ],
)
def test_wrong_references(text: str, line: int, remedy: str) -> None:
    (problem,) = fill_references(parse(text))
    assert problem.line == line
    assert remedy in problem.remedy


def test_references_that_chase_each_other() -> None:
    assert fill_references(parse("a: <b>\nb: <a>\n"))


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), ("1e-3", 1e-3), ("[a, 2]", ["a", 2]), ("x y", "x y"), ("", None)]
)
def test_a_scalar_of_the_command_line(text: str, value: Any) -> None:
    assert read_scalar(text) == value
