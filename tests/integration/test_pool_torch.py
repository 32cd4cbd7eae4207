"""A network trained by a worker of the pool, killed at a random epoch and resumed, predicts what it would have anyway.

``QNB_KILL_LOOPS=10 pytest tests/integration/test_pool_torch.py`` kills ten times.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from qnb.config import Settings
from qnb.handle import RunHandle
from qnb.pool.tickets import Ticket
from qnb.session import Session

LOOPS = int(os.environ.get("QNB_KILL_LOOPS", "1"))
EPOCHS = 12
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"),
]

WORKFLOW = f"""
qlib_init: {{provider_uri: "demo:instruments=40,years=4", recorder_uri: "sqlite:///mlflow.db"}}
task:
  model:
    class: GRU
    module_path: qlib.contrib.model.pytorch_gru_ts
    kwargs: {{d_feat: 3, hidden_size: 16, num_layers: 2, dropout: 0.3, n_epochs: {EPOCHS}, early_stop: {EPOCHS},
              lr: 0.003, batch_size: 256, GPU: null}}
  dataset:
    class: TSDatasetH
    module_path: qlib.data.dataset
    kwargs:
      step_len: 8
      handler:
        class: DataHandlerLP
        module_path: qlib.data.dataset.handler
        kwargs:
          instruments: all
          start_time: 2017-03-01
          end_time: 2020-12-31
          data_loader:
            class: QlibDataLoader
            kwargs:
              config:
                feature: [["$close/Ref($close, 1) - 1", "$volume/Mean($volume, 10) - 1", "($high-$low)/$open"],
                          [RET, VR, KLEN]]
                label: [["Ref($close, -2)/Ref($close, -1) - 1"], [LABEL0]]
          infer_processors: [{{class: Fillna, kwargs: {{fields_group: feature}}}}]
          learn_processors: [{{class: DropnaLabel}}, {{class: CSZScoreNorm, kwargs: {{fields_group: label}}}}]
      segments: {{train: [2017-03-01, 2018-12-31], valid: [2019-01-01, 2019-12-31], test: [2020-01-01, 2020-12-31]}}
  record: [{{class: SignalRecord, module_path: qlib.workflow.record_temp}}]
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """One worker, as for a run of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QNB_WORKERS", "1")
        session = Session(Settings(work_dir=tmp_path_factory.mktemp("deep")))
        yield session
        pool = session.pool()
        session.close()
        assert pool.wait_gone(90)


@pytest.fixture(scope="module")
def undisturbed(session: Session) -> pd.Series:
    """What the model predicts when nobody kills it."""
    return predictions(submit(session, "whole", 7).wait(240))


def submit(session: Session, name: str, seed: int | None) -> RunHandle:
    task, settings, _ = session.load(WORKFLOW, source="cell")
    return session.submit(task, settings, name=name, seed=seed, ticket=Ticket("", "", retries=0))


def predictions(run: RunHandle) -> pd.Series:
    assert run.status == "finished", run.error
    assert list(run.state.curves["loss.valid"].steps) == list(range(1, EPOCHS + 1))
    return run.pred.iloc[:, 0]


@pytest.mark.parametrize("seed", [7, None])
@pytest.mark.parametrize("loop", range(LOOPS))
def test_killed_at_a_random_epoch_and_resumed_it_predicts_the_same(
    session: Session, undisturbed: pd.Series, loop: int, seed: int | None
) -> None:
    epoch = random.Random(time.time_ns()).randrange(2, EPOCHS)  # the checkpoint of the one before is written then
    run = submit(session, f"killed {loop}", seed)
    end = time.monotonic() + 240
    while "loss.valid" not in run.state.curves or len(run.state.curves["loss.valid"].steps) < epoch:
        assert not run.is_over, run.error
        assert time.monotonic() < end, "it does not train"
        time.sleep(0.001)
    os.kill(run.state.pid, signal.SIGKILL)
    run.wait(60)
    assert run.status == "failed"
    again = predictions(session.resume(run).wait(240))
    assert any("from the checkpoint" in log.text for log in run.state.logs), f"killed after epoch {epoch}"
    if seed is None:  # tried again as a run of its own it has the seed that was drawn, and nobody kills it
        assert run.recorder.list_params()["seed"] == str(run.state.seed)
        whole = session.retry(run)
        undisturbed = predictions(whole.wait(240))
        assert whole.request.seed == run.state.seed
    pd.testing.assert_index_equal(again.index, undisturbed.index)
    np.testing.assert_array_equal(again.to_numpy(), undisturbed.to_numpy(), err_msg=f"killed after epoch {epoch}")
