"""Workflows as users of the peer have them, through the command line, on real data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qnb.rundir import RunResult, list_run_dirs

WORKFLOWS = Path(__file__).resolve().parents[1] / "workflows"
FEW = {
    "lightgbm_alpha360": ("num_boost_round=8",),
    "lightgbm_inline": ("num_boost_round=8",),
    "xgboost_alpha158": ("eta=0.8", "max_depth=3"),
    "catboost_alpha158": ("learning_rate=0.8", "max_depth=3", "num_leaves=8"),
    "linear_alpha158": (),
}
"""Workflow -> overrides of the model's arguments that keep it short."""


def run(workflow: str, cn_data: Path, folder: Path, *overrides: str, status: int = 0) -> RunResult:
    """Run a workflow with ``qnb run`` and return how it ended."""
    words = [w for o in overrides for w in ("--set", f"task.model.kwargs.{o}")]
    command = [
        sys.executable, "-m", "qnb.cli", "run", str(WORKFLOWS / f"{workflow}.yaml"), "--quiet",
        "--provider-uri", str(cn_data), *words,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, env=dict(os.environ))
    assert done.returncode == status, done.stderr[-3000:]
    (directory,) = list_run_dirs(folder / ".qnb" / "runs")
    result = directory.result()
    assert result is not None
    return result


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_lightgbm_on_alpha158_orders_instruments_as_well_as_the_peers(cn_data: Path, tmp_path: Path) -> None:
    result = run("lightgbm_alpha158", cn_data, tmp_path)
    metrics = result["metrics"]
    assert metrics["IC"] == pytest.approx(0.046384, abs=0.002)
    assert metrics["Rank IC"] == pytest.approx(0.048605, abs=0.002)
    assert metrics["1day.excess_return_with_cost.information_ratio"] > 0.5
    report = Path(str(result["report"]))
    assert report.name == "report.html"
    assert "cdn" not in report.read_text(encoding="utf-8")[:20_000]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("workflow", FEW)
def test_the_other_workflows_run_to_their_report(workflow: str, cn_data: Path, tmp_path: Path) -> None:
    result = run(workflow, cn_data, tmp_path, *FEW[workflow])
    assert result["status"] == "finished"
    assert {"IC", "Rank IC", "1day.excess_return_with_cost.information_ratio"} <= set(result["metrics"])
    assert Path(str(result["report"])).stat().st_size > 100_000


def test_a_model_that_raises_fails_the_run_with_its_message_and_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "class Broken:\n    def fit(self, dataset):\n        raise ValueError('no luck')\n\n"
        "    def predict(self, dataset, segment):\n        pass\n"
    )
    (tmp_path / "w.yaml").write_text(
        "market: 'demo:instruments=30,years=2'\nmodel: {class: Broken, module_path: broken.py}\nfeatures: [$close]\n"
        "segments: {train: [2019-03-01, 2019-12-31], valid: [2020-01-01, 2020-06-30], test: [2020-07-01, 2020-11-30]}\n"
    )
    command = [sys.executable, "-m", "qnb.cli", "run", "w.yaml", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr
    assert "no luck" in done.stderr
    assert "Traceback" not in done.stderr
    listed = subprocess.run(
        [sys.executable, "-m", "qnb.cli", "runs"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert "failed" in listed.stdout
    (journal,) = (tmp_path / ".qnb" / "runs").glob("*/journal.ndjson")
    assert json.loads(journal.read_text().splitlines()[-1])["event"] == "RunFailed"
