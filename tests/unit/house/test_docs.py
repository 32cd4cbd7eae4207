"""The documentation says what is so: its code runs, its links lead somewhere, its generated pages are up to date."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "tests" / "benchmarks" / "README.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_reference_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_reference.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout


def test_the_operator_of_the_how_to_computes(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "how_to" / "add_an_operator.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)  # the page's own code
    assert "Range" in capsys.readouterr().out
    values = np.array([3.0, np.nan, 1.0, 4.0])
    np.testing.assert_array_equal(names["Range"]().compute(values, 2), [0.0, 0.0, 0.0, 3.0])
