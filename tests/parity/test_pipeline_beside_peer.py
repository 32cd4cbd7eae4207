"""Processors, datasets and windows beside the peer's own, run in its own environment on the same data."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qnb import registry
from qnb.config import Settings
from qnb.data.dataset import DatasetH
from qnb.data.timeseries import TSDatasetH

PEER = Path(os.environ.get("QNB_PEER_PYTHON", Path.home() / ".cache" / "qnb-peer" / "bin" / "python"))
FIT = {"fit_start_time": "2020-01-06", "fit_end_time": "2020-02-20"}
STEP, EVERY = 10, 17


def case(cls: str, /, name: str = "", finite: bool = False, **kwargs: Any) -> dict[str, Any]:
    return {"name": name or cls, "class": cls, "kwargs": kwargs, "finite": finite}


PROCESSORS = [
    case("DropnaProcessor", fields_group="label"),
    case("DropnaLabel"),
    case("DropCol", col_list=["KMID", "ROC5"]),
    case("FilterCol", col_list=["KMID", "ROC5"]),
    case("TanhProcess"),
    case("ProcessInf"),
    case("Fillna", "FillnaGroup", fields_group="feature", fill_value=1.5),
    case("Fillna"),
    case("MinMaxNorm", finite=True, fields_group="feature", **FIT),
    case("ZScoreNorm", finite=True, fields_group="feature", **FIT),
    case("ZScoreNorm", "ZScoreNormAll", finite=True, **FIT),
    case("RobustZScoreNorm", fields_group="feature", **FIT),
    case("RobustZScoreNorm", "RobustUnclipped", finite=True, fields_group="feature", clip_outlier=False, **FIT),
    case("CSZScoreNorm", fields_group="label"),
    case("CSZScoreNorm", "CSZScoreNormAll", finite=True, fields_group=["feature", "label"]),
    case("CSZScoreNorm", "CSZScoreNormRobust", finite=True, fields_group="feature", method="robust"),
    case("CSRankNorm"),
    case("CSRankNorm", "CSRankNormLabel", fields_group="label"),
    case("CSZFillna", finite=True, fields_group="feature"),
    case("ConfigSectionProcessor", finite=True),
    case(
        "ConfigSectionProcessor", "ConfigSectionClipped", finite=True, clip_feature_outlier=True,
        shrink_feature_outlier=False, clip_label_outlier=True, fillna_feature=False, fillna_label=False,
    ),
]  # fmt: skip

SEGMENTS = {"train": ["2018-05-02", "2018-05-31"], "test": ["2018-06-01", "2018-06-29"]}
MEMBERS = {
    **{f"SH{600000 + i}": [["2018-05-02", "2018-06-29"]] for i in (0, 9, 10, 11, 15, 16, 18, 19, 28, 29, 30, 31, 36)},
    "SH600048": [["2018-05-02", "2018-05-18"], ["2018-06-11", "2018-06-29"]],
    "SH600050": [["2018-06-11", "2018-06-29"]],
}
HANDLER = {
    "instruments": MEMBERS,
    "start_time": "2018-05-02",
    "end_time": "2018-06-29",
    "fit_start_time": "2018-05-02",
    "fit_end_time": "2018-05-31",
    "infer_processors": [
        {"class": "RobustZScoreNorm", "kwargs": {"fields_group": "feature"}},
        {"class": "Fillna", "kwargs": {"fields_group": "feature"}},
    ],
    "learn_processors": [{"class": "DropnaLabel"}, {"class": "CSRankNorm", "kwargs": {"fields_group": "label"}}],
}
NAMES = (
    "KMID", "KLEN", "KMID2", "KUP", "KUP2", "KLOW", "KLOW2", "KSFT", "KSFT2", "OPEN0", "HIGH0", "LOW0", "VWAP0",
    "ROC5", "MA5", "STD5", "BETA5", "RSQR5", "RESI5", "MAX5", "MIN5", "QTLU5", "QTLD5", "RANK5", "RSV5", "IMAX5",
    "IMIN5", "IMXD5", "CORR5", "CORD5", "CNTP5", "SUMP5", "VMA5", "VSTD5", "WVMA5", "VSUMP5", "EMPTY", "CONST",
)  # fmt: skip


def sample() -> pd.DataFrame:
    """Return columns named as in Alpha158 with gaps, ties, NaN, infinities, an empty and a constant column."""
    random = np.random.default_rng(3)
    dates = pd.bdate_range("2019-12-20", periods=70).as_unit("ns")
    symbols = [f"S{i:02d}" for i in range(40)]
    index = pd.MultiIndex.from_product([dates, symbols], names=["datetime", "instrument"])
    index = index[random.random(len(index)) < 0.9]
    x = (1 + 0.3 * random.standard_normal((len(index), len(NAMES)))).astype(np.float32)
    x[:, 0] = np.round(x[:, 0], 1)
    for value, share in ((np.nan, 0.05), (np.inf, 0.002), (-np.inf, 0.002)):
        x[random.random(x.shape) < share] = value
    x[:, -2], x[:, -1] = np.nan, 2.5
    y = random.standard_normal((len(index), 1)).astype(np.float32)
    y[random.random(len(y)) < 0.05] = np.nan
    columns = [*(("feature", n) for n in NAMES), ("label", "LABEL0")]
    return pd.DataFrame(np.hstack([x, y]), index=index, columns=pd.MultiIndex.from_tuples(columns))


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory, cn_data: Path) -> Path:
    """Folder with what the peer computes."""
    if not PEER.exists():
        pytest.skip(f"needs the peer's environment ({PEER}; set QNB_PEER_PYTHON)")
    folder = tmp_path_factory.mktemp("peer")
    dataset = {
        "class": "DatasetH",
        "module_path": "qlib.data.dataset",
        "kwargs": {
            "handler": {"class": "Alpha158", "module_path": "qlib.contrib.data.handler", "kwargs": HANDLER},
            "segments": SEGMENTS,
        },
    }
    cases = {
        "processors": PROCESSORS,
        "dataset": {"dataset": dataset, "segments": list(SEGMENTS), "step_len": STEP, "every": EVERY},
    }
    (folder / "cases.json").write_text(json.dumps(cases))
    sample().to_parquet(folder / "sample.parquet")
    script = Path(__file__).with_name("peer_pipeline.py")
    command = [PEER, script, folder / "cases.json", folder / "sample.parquet", cn_data, folder]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=280, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, cn_data: Path) -> Settings:
    return Settings().with_(provider_uri=str(cn_data), cache_dir=tmp_path_factory.mktemp("cache"), threads=2)


def close(got: np.ndarray, want: np.ndarray, tolerance: float = 1e-5) -> None:
    """NaN at the same places, and differences within `tolerance` of the value or of 0.01 (float32 sums there)."""
    assert got.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    infinite = np.isinf(want)
    np.testing.assert_array_equal(got[infinite], want[infinite])
    finite = np.isfinite(want)
    difference = np.abs(got[finite] - want[finite]) / np.maximum(1e-2, np.abs(want[finite]))
    assert difference.max(initial=0) <= tolerance


def nanoseconds(frame: pd.DataFrame) -> pd.DataFrame:
    dates = frame.index.levels[0].as_unit("ns")  # type: ignore[attr-defined]
    return frame.set_axis(frame.index.set_levels(dates, level=0), axis=0)  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("given", PROCESSORS, ids=lambda c: c["name"])
def test_processors(peer: Path, given: dict[str, Any]) -> None:
    frame = sample()
    if given["finite"]:
        frame = frame.replace([np.inf, -np.inf], np.nan)
    want = pd.read_parquet(peer / f"{given['name']}.parquet")
    proc = registry.find("processor", given["class"])(**given["kwargs"])
    proc.fit(frame)
    got = proc(frame)
    pd.testing.assert_index_equal(got.index, want.index)
    pd.testing.assert_index_equal(got.columns, want.columns)
    close(got.to_numpy(), want.to_numpy(), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["raw", "infer", "learn"])
@pytest.mark.parametrize("segment", list(SEGMENTS))
def test_alpha158_through_a_dataset(peer: Path, settings: Settings, key: Any, segment: str) -> None:
    dataset = DatasetH({"class": "Alpha158", "kwargs": HANDLER}, SEGMENTS, settings=settings)
    got = dataset.prepare(segment, col_set=["feature", "label"], data_key=key)
    want = nanoseconds(pd.read_parquet(peer / f"{key}_{segment}.parquet"))
    pd.testing.assert_index_equal(got.index, want.index)
    pd.testing.assert_index_equal(got.columns, want.columns)
    close(got.to_numpy(), want.to_numpy(dtype=np.float32))
    sampled = dataset.sample(segment, data_key=key)
    close(sampled.x, want["feature"].to_numpy(dtype=np.float32))
    close(sampled.y, want["label"].to_numpy(dtype=np.float32))


@pytest.mark.slow
def test_windows(peer: Path, settings: Settings) -> None:
    handler = {"class": "Alpha158", "kwargs": HANDLER}
    dataset = TSDatasetH(step_len=STEP, handler=handler, segments=SEGMENTS, settings=settings)
    sampler = dataset.prepare("test", col_set=["feature", "label"], data_key="learn")
    index = pd.MultiIndex.from_frame(pd.read_parquet(peer / "windows.parquet"))
    assert list(sampler.get_index()) == list(index)
    chosen = list(range(0, len(sampler), EVERY))
    for fill in ("none", "ffill", "ffill+bfill"):
        sampler.config(fillna_type=fill)
        close(sampler[chosen], np.load(peer / f"windows_{fill}.npy").astype(np.float32))
