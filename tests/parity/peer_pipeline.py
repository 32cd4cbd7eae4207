"""Run by the peer's own Python: its processors, datasets and windows on samples, written to a folder.

python peer_pipeline.py CASES.json SAMPLE.parquet DATA OUT
"""

import json
import logging
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
warnings.filterwarnings("ignore")


def processors(cases: list, sample: Path, out: Path) -> None:
    import numpy as np
    import pandas as pd
    from qlib.contrib.data.processor import ConfigSectionProcessor
    from qlib.data.dataset import processor

    frame = pd.read_parquet(sample)
    finite = frame.replace([np.inf, -np.inf], np.nan)
    drop = pd.DataFrame.droplevel
    for case in cases:
        cls = getattr(processor, case["class"], ConfigSectionProcessor)
        if cls is ConfigSectionProcessor:  # it means the columns but drops a level of the rows
            pd.DataFrame.droplevel = lambda self, level, axis=1: drop(self, level, axis=1)
        given = finite if case["finite"] else frame
        proc = cls(**case["kwargs"])
        proc.fit(given.copy())
        proc(given.copy()).astype("float32").to_parquet(out / f"{case['name']}.parquet")
        pd.DataFrame.droplevel = drop


def datasets(case: dict, data: str, out: Path) -> None:
    import numpy as np
    import qlib
    from qlib.data.dataset import TSDatasetH
    from qlib.utils import init_instance_by_config

    qlib.init(provider_uri=data, region="cn", kernels=1, logging_level=logging.ERROR)
    dataset = init_instance_by_config(case["dataset"])
    for key in ("raw", "infer", "learn"):
        for segment in case["segments"]:
            dataset.prepare(segment, col_set=["feature", "label"], data_key=key).to_parquet(
                out / f"{key}_{segment}.parquet"
            )
    windows = TSDatasetH(handler=dataset.handler, segments=dataset.segments, step_len=case["step_len"])
    sampler = windows.prepare("test", col_set=["feature", "label"], data_key="learn")
    sampler.get_index().to_frame(index=False).to_parquet(out / "windows.parquet")
    for fill in ("none", "ffill", "ffill+bfill"):
        sampler.config(fillna_type=fill)
        np.save(out / f"windows_{fill}.npy", sampler[list(range(0, len(sampler), case["every"]))])


if __name__ == "__main__":
    cases = json.loads(Path(sys.argv[1]).read_text())
    processors(cases["processors"], Path(sys.argv[2]), Path(sys.argv[4]))
    datasets(cases["dataset"], sys.argv[3], Path(sys.argv[4]))
