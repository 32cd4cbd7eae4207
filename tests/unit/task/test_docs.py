"""The pages about the task YAML: their examples load, and no key is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qnb.task.parse import parse
from qnb.task.portfolio import BACKTEST, EXCHANGE, EXECUTOR
from qnb.task.shorthand import SHORT_KEYS
from qnb.task.spec import load_task
from qnb.task.validate import TOP_KEYS

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = {name: (DOCS / name).read_text() for name in ("reference/task.md", "concepts/configuration.md")}
EXAMPLES = [
    pytest.param(text, id=f"{Path(name).stem}-{number}")
    for name, page in PAGES.items()
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_load(text: str, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("task: {model: {kwargs: {max_depth: 3}}}\n")
    (tmp_path / "lib").mkdir()
    whole = text.startswith(("model:", "market: ~")) or "dataset:" in text
    if whole:
        assert load_task(text, base_dir=tmp_path).records
    else:
        assert parse(text, base_dir=tmp_path).values


def test_every_key_is_described() -> None:
    page = PAGES["reference/task.md"]
    for table in (TOP_KEYS, SHORT_KEYS, BACKTEST, EXCHANGE, EXECUTOR):
        missing = [key for key in table if f"`{key}`" not in page and f"`{key}:" not in page]
        assert missing == []
