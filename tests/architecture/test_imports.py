"""What starting costs: no heavy library is loaded by an import, a help text or the extension."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "lightgbm", "mlflow", "optuna", "xgboost", "catboost", "numba", "jsonschema")


def loaded_after(code: str) -> set[str]:
    """Return the names of `HEAVY` that a fresh interpreter has loaded after `code`."""
    out = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*[m for m in {HEAVY!r} if m in sys.modules])"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return set(out.stdout.splitlines()[-1].split()) if out.stdout.strip() else set()


@pytest.mark.parametrize(
    "code",
    [
        "import qnb",
        "import qnb.cli, qnb.options",
        "import qnb.task.spec, qnb.check",
        "import qnb.data.provider, qnb.expr.parse",
        "import contextlib, qnb.cli\nwith contextlib.suppress(SystemExit): qnb.cli.main(['--help'])",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert loaded_after(code) == set()


def test_import_qnb_loads_neither_numpy_nor_pandas() -> None:
    out = subprocess.run(
        [sys.executable, "-c", "import qnb, sys; print('numpy' in sys.modules, 'pandas' in sys.modules)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert out.stdout.split() == ["False", "False"]
