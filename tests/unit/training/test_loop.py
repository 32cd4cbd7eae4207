"""The training loop: rounds, ends, resume, options; on networks of a few weights."""

from __future__ import annotations

import math
import os
import platform
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from qnb.data.reweighter import Reweighter
from qnb.errors import ConfigError, DivergedError, ModelError, RunStopped
from qnb.events import Event, LogLine, MetricLogged, Progress, SeedDrawn
from qnb.models.alstm import ALSTM
from qnb.models.gats import GATs
from qnb.models.general import GeneralPTNN
from qnb.models.gru import GRU
from qnb.models.mlp import DNNModelPytorch
from qnb.training import devices
from qnb.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from qnb.training.context import FitContext
from qnb.training.options import LoopOptions, TrainingOptions
from qnb.training.synthetic import SyntheticDataset
from qnb.training.torch_model import TorchModel


class Line(TorchModel):
    """One linear layer, with dropout so that the random state matters."""

    def __init__(self, n: int = 6, dropout: float = 0.1, **training: Any) -> None:
        super().__init__(**training)
        self.architecture = {"n": n, "dropout": dropout}

    def build(self) -> torch.nn.Module:
        n, dropout = self.architecture["n"], self.architecture["dropout"]
        return torch.nn.Sequential(torch.nn.Dropout(dropout), torch.nn.Linear(n, 1))


@pytest.fixture(scope="module")
def data() -> SyntheticDataset:
    return SyntheticDataset(days=80, instruments=20, missing=0.0)


def watched(**changes: Any) -> tuple[FitContext, list[Event]]:
    events: list[Event] = []
    return FitContext(**{"threads": 1, "seed": 3, "emit": events.append, **changes}), events


def warnings_of(events: list[Event]) -> list[str]:
    return [e.text for e in events if isinstance(e, LogLine) and e.level == "warning"]


def small(**changes: Any) -> Line:
    return Line(**{"n_epochs": 6, "batch_size": 100, "lr": 0.02, "GPU": None, **changes})


def test_typed_keywords_are_those_of_the_base_model() -> None:
    import inspect

    assert set(TrainingOptions.__annotations__) == set(inspect.signature(TorchModel.__init__).parameters) - {"self"}


def test_validation_and_prediction_tell_how_far_they_are(
    data: SyntheticDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qnb.training.context.PROGRESS_INTERVAL", 0.0)
    monkeypatch.setattr("qnb.training.batches.AT_ONCE", 30)
    context, events = watched()
    model = small(n_epochs=2).fit(data, context=context)
    rows = len(data.sample("valid", data_key="learn"))
    texts = [e.text for e in events if isinstance(e, Progress) and "validating" in e.text]
    assert f"epoch 1, validating, row 60 of {rows:,}" in texts
    assert f"epoch 2, validating, row {rows:,} of {rows:,}" in texts
    context, events = watched(stage="predict")
    model.predict(data, "valid", context=context)
    steps = [(e.stage, e.step, e.total, e.unit) for e in events if isinstance(e, Progress)]
    assert steps[0] == ("predict", 30, rows, "row")
    assert steps[-1] == ("predict", rows, rows, "row")


def test_a_prediction_stops_on_request(data: SyntheticDataset) -> None:
    model = small(n_epochs=1).fit(data, context=watched()[0])
    with pytest.raises(RunStopped, match="'valid' was predicted"):
        model.predict(data, "valid", context=watched(should_stop=lambda: True)[0])


def test_the_best_weights_are_put_back(data: SyntheticDataset) -> None:
    context, events = watched()
    model = small(lr=0.5, early_stop=3, n_epochs=40).fit(data, context=context)
    curve = [e.value for e in events if isinstance(e, MetricLogged) and e.name == "loss.valid"]
    outcome = model.outcome_
    assert outcome is not None
    assert outcome.best_round == int(np.argmin(curve)) + 1
    assert outcome.rounds == len(curve) == outcome.best_round + 3
    sample = data.sample("valid", data_key="learn")
    assert model.network_ is not None
    with torch.inference_mode():
        again = model.network_(torch.tensor(sample.x)).squeeze(-1).numpy()
    assert float(((again - sample.y[:, 0]) ** 2).mean()) == pytest.approx(min(curve), rel=1e-5)


def test_progress_says_where_it_will_stop(data: SyntheticDataset) -> None:
    context, events = watched()
    small(lr=0.5, early_stop=3, n_epochs=40).fit(data, context=context)
    last = [e for e in events if isinstance(e, Progress)][-1]
    assert last.unit == "epoch"
    assert last.step == last.stop_at == last.best_step + 3
    texts = [e.text for e in events if isinstance(e, Progress) and e.text]
    assert all(word in texts[0] for word in ("loss", "rows/s", "lr"))


@pytest.mark.parametrize("metric", ["ic", "rank_ic"])
def test_early_stop_on_a_correlation_maximises_it(data: SyntheticDataset, metric: str) -> None:
    context, events = watched()
    model = small(metric=metric, early_stop=4, n_epochs=30).fit(data, context=context)
    curve = [e.value for e in events if isinstance(e, MetricLogged) and e.name == f"{metric}.valid"]
    assert model.outcome_ is not None
    assert model.outcome_.best_round == int(np.argmax(curve)) + 1


def test_steps_are_counted_in_steps(data: SyntheticDataset) -> None:
    context, events = watched()
    model = DNNModelPytorch(
        max_steps=50, eval_steps=20, optimizer="adam", GPU=None, pt_model_kwargs={"input_dim": 6, "layers": [8]}
    )
    model.fit(data, context=context)
    curve = [e.step for e in events if isinstance(e, MetricLogged) and e.name == "loss.valid"]
    assert curve == [20, 40, 50]
    assert {e.unit for e in events if isinstance(e, Progress)} == {"step"}
    assert [e.step for e in events if isinstance(e, Progress)][-1] == 50


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "ic", "ranking"])
def test_every_loss_learns(data: SyntheticDataset, loss: str) -> None:
    context, _ = watched()
    model = small(loss=loss, n_epochs=15, metric="ic").fit(data, context=context)
    assert model.outcome_ is not None
    assert model.outcome_.best_value > 0.3


def test_the_binary_loss_learns(data: SyntheticDataset) -> None:
    up = data.with_labels((data.labels() > 0).astype(np.float32))
    model = small(loss="binary", n_epochs=15, metric="ic").fit(up, context=watched()[0])
    assert model.outcome_ is not None
    assert model.outcome_.best_value > 0.2


@pytest.mark.parametrize("optimizer", ["adam", "AdamW", "gd", "sgd", "rmsprop", "NAdam", "Rprop"])
def test_optimizers_by_name(data: SyntheticDataset, optimizer: str) -> None:
    assert small(optimizer=optimizer, n_epochs=2).fit(data, context=watched()[0]).is_fitted


@pytest.mark.parametrize(
    ("scheduler", "kwargs", "falls"),
    [("plateau", {"patience": 0, "threshold": 10.0}, True), ("cosine", {}, True), ("one_cycle", {}, False),
     ("StepLR", {"step_size": 1}, True), ("MultiStepLR", {"milestones": [2, 4]}, True),
     ("CyclicLR", {"base_lr": 1e-3, "max_lr": 1e-2, "step_size_up": 10_000}, False), (None, {}, False)],
)  # fmt: skip
def test_schedules_by_name(data: SyntheticDataset, scheduler: str | None, kwargs: dict[str, Any], falls: bool) -> None:
    context, events = watched()
    small(scheduler=scheduler, scheduler_kwargs=kwargs).fit(data, context=context)
    rates = [e.value for e in events if isinstance(e, MetricLogged) and e.name == "lr"]
    assert len(rates) == 6
    assert (rates[-1] < rates[0]) == falls or scheduler == "one_cycle"
    if scheduler == "one_cycle":
        assert rates[-1] < 0.001 < max(rates)
    if scheduler == "CyclicLR":
        steps = len(data.sample("train", data_key="learn")) // 100
        assert rates == pytest.approx([1e-3 + 9e-7 * steps * k for k in range(1, 7)]), "it moves every step"


class ByLabel(Reweighter):
    """Rising rows count twice."""

    def reweight(self, data: Any) -> Any:
        return 1.0 + (data["label"].to_numpy()[:, 0] > 0)


class LineInParts(Line):
    """The same, worked on 16 rows at a time."""

    part = 16


@pytest.mark.parametrize("reweighted", [False, True])
def test_batch_in_parts_is_the_whole_batch(data: SyntheticDataset, reweighted: bool) -> None:
    reweighter = ByLabel() if reweighted else None
    whole, parts = (
        kind(batch_size=100, dropout=0.0, GPU=None, n_epochs=3, lr=0.02).fit(data, reweighter, context=watched()[0])
        for kind in (Line, LineInParts)
    )
    np.testing.assert_allclose(parts.predict(data), whole.predict(data), atol=2e-5)
    assert whole.outcome_ is not None
    assert parts.outcome_ is not None
    assert parts.outcome_.history["loss.train"] == pytest.approx(whole.outcome_.history["loss.train"], rel=1e-5)


def test_stop_comes_between_the_parts_of_a_batch(data: SyntheticDataset) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    model = LineInParts(batch_size=100_000, GPU=None, n_epochs=5)
    with pytest.raises(RunStopped):
        model.fit(data, context=watched(should_stop=stop)[0])
    assert asked == 4
    assert model.network_ is not None


def test_loss_of_whole_dates_takes_the_whole_batch(data: SyntheticDataset) -> None:
    whole, parts = (
        kind(batch_size=100, dropout=0.0, GPU=None, n_epochs=1, loss="ic").fit(data, context=watched()[0])
        for kind in (Line, LineInParts)
    )
    np.testing.assert_array_equal(parts.predict(data), whole.predict(data))


def test_accumulated_batches_are_one_large_batch(data: SyntheticDataset) -> None:
    sizes = {"dropout": 0.0, "optimizer": "sgd", "clip_value": None, "n_epochs": 1}
    rows = len(data.sample("train", data_key="learn"))
    small_batches = small(batch_size=rows // 4, accumulate=4, **sizes).fit(data, context=watched()[0])
    one = small(batch_size=rows // 4 * 4, **sizes).fit(data, context=watched()[0])
    for a, b in zip(small_batches.network_.parameters(), one.network_.parameters(), strict=True):  # type: ignore[union-attr]
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("accumulate", "steps"), [(3, 2), (4, 1), (1000, 1)])
def test_batches_that_are_left_over_at_the_end_of_a_round_make_a_step(
    data: SyntheticDataset, accumulate: int, steps: int
) -> None:
    four = -(-len(data.sample("train", data_key="learn")) // 4)
    made: list[Any] = []
    hook = register_optimizer_step_post_hook(lambda *step: made.append(step))
    try:
        small(batch_size=four, accumulate=accumulate, n_epochs=1).fit(data, context=watched()[0])
    finally:
        hook.remove()
    assert len(made) == steps


def test_gradients_are_limited(data: SyntheticDataset) -> None:
    huge = data.with_labels(data.labels() * 1e4)
    free = small(optimizer="sgd", lr=1e-4, clip_value=None, n_epochs=1).fit(huge, context=watched()[0])
    limited = small(optimizer="sgd", lr=1e-4, clip_norm=0.001, n_epochs=1).fit(huge, context=watched()[0])
    start = small(optimizer="sgd", lr=1e-12, n_epochs=1).fit(huge, context=watched()[0])

    def moved(model: Line) -> float:
        assert model.network_ is not None
        assert start.network_ is not None
        pairs = zip(model.network_.parameters(), start.network_.parameters(), strict=True)
        return sum(float((a - b).detach().norm()) for a, b in pairs)

    assert moved(limited) < 1e-5 < moved(free)


@pytest.mark.parametrize("there", [True, False])
def test_half_precision_learns_on_the_cpu(data: SyntheticDataset, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    """With a processor that has bf16 and with one that has not; a linear layer calculates in it on any."""
    monkeypatch.setattr(devices, "_trains_in_bf16", lambda device: there)
    context, events = watched()
    model = small(precision="bf16", n_epochs=10).fit(data, context=context)
    assert model.outcome_ is not None
    assert model.outcome_.history["ic.valid"][-1] > 0.3
    assert warnings_of(events) == ([] if there else ["this processor has no bf16; using fp32"])
    full = small(n_epochs=10).fit(data, context=watched()[0])
    assert full.outcome_ is not None
    same = full.outcome_.history["loss.train"] == model.outcome_.history["loss.train"]
    assert same is not there, "what bf16 gives differs from fp32"
    context, events = watched()
    small(precision="fp16", n_epochs=1).fit(data, context=context)
    assert warnings_of(events) == ["fp16 needs a GPU; using fp32"]


RECURRENT = """
import sys
import torch
from qnb.models.lstm import LSTM
from qnb.training.context import FitContext
from qnb.training.synthetic import SyntheticDataset

told, data = [], SyntheticDataset(days=40, instruments=10, missing=0.0, step_len=5)
context = FitContext(threads=1, seed=3, emit=told.append)
model = LSTM(d_feat=6, hidden_size=8, num_layers=1, precision="bf16", n_epochs=1, GPU=None).fit(data, context=context)
assert model.predict(data).notna().all()
assert torch.ops.mkldnn._is_mkldnn_bf16_supported() is not (sys.argv[1] == "avx2"), "the processor is not the one meant"
print([e.text for e in told if getattr(e, "level", "") == "warning"])
"""


def _trains_a_recurrent_one(processor: str) -> str:
    env = dict(os.environ) | ({"ONEDNN_MAX_CPU_ISA": "AVX2"} if processor == "avx2" else {})
    command = [sys.executable, "-c", RECURRENT, processor]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="oneDNN's levels are those of x86")
def test_a_recurrent_network_asks_a_processor_without_bf16() -> None:
    """oneDNN held to AVX2 is what it is on a processor without AVX-512: an LSTM in bf16 is a RuntimeError there."""
    assert _trains_a_recurrent_one("avx2") == "['this processor has no bf16; using fp32']"


@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor has no bf16")
def test_a_recurrent_network_trains_in_bf16_where_there_is_one() -> None:
    assert _trains_a_recurrent_one("this") == "[]"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_warning(data: SyntheticDataset) -> None:
    context, events = watched()
    model = small(GPU=0, n_epochs=1).fit(data, context=context)
    model.predict(data)
    assert len(warnings_of(events)) == 1
    assert "using the CPU" in warnings_of(events)[0]


def test_deterministic_mode_is_switched_off_again(data: SyntheticDataset) -> None:
    threads = torch.get_num_threads()
    state = torch.get_rng_state()
    small(deterministic=True, n_epochs=1).fit(data, context=watched()[0])
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert torch.equal(state, torch.get_rng_state()), "a fit must leave the user's random state alone"


@pytest.mark.parametrize("make", [lambda: small(lr=1e6), lambda: GRU(d_feat=3, lr=1e6, n_epochs=5, GPU=None)])
def test_a_diverging_loss_names_the_step(data: SyntheticDataset, make: Any) -> None:
    model = make()
    with pytest.raises(DivergedError, match=r"in step \d+ .*lower lr") as caught:
        model.fit(data, context=watched()[0])
    assert caught.value.step >= 1
    assert not model.is_fitted


def test_a_network_of_the_wrong_size_is_said_before_the_first_epoch(data: SyntheticDataset) -> None:
    context, events = watched()
    with pytest.raises(ModelError, match=r"6 features.*d_feat is 4, set it"):
        GRU(d_feat=4, GPU=None).fit(data, context=context)
    assert not [e for e in events if isinstance(e, Progress)]


def test_a_network_that_gives_more_than_a_number_is_refused(data: SyntheticDataset) -> None:
    class Two(Line):
        def build(self) -> torch.nn.Module:
            return torch.nn.Linear(6, 2)

    with pytest.raises(ModelError, match="one number for each row"):
        Two(GPU=None).fit(data, context=watched()[0])


def test_a_model_of_windows_refuses_a_dataset_without(data: SyntheticDataset) -> None:
    from qnb.models.gru_ts import GRUTS

    class Plain:
        segments = data.segments
        sample, prepare = data.sample, data.prepare

    with pytest.raises(ModelError, match="TSDatasetH"):
        GRUTS(d_feat=6, GPU=None).fit(Plain(), context=watched()[0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"loss": "msee"}, "did you mean 'mse'"), ({"metric": "rankic"}, "did you mean 'rank_ic'"),
     ({"lr": 0}, "positive"), ({"n_epochs": 0}, "at least 1"), ({"precision": "fp8"}, "fp32, bf16, fp16"),
     ({"batch_size": "8k"}, "whole number")],
)  # fmt: skip
def test_bad_options_are_refused_by_the_constructor(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(**kwargs)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"optimizer": "adm"}, "did you mean 'adam'"), ({"scheduler": "cosin"}, "did you mean 'cosine'"),
     ({"optimizer_kwargs": {"beta": 1}}, "refuses its arguments"), ({"optimizer": "lbfgs"}, "cannot train here"),
     ({"optimizer": "rprop", "weight_decay": 0.1}, "refuses its arguments")],
)  # fmt: skip
def test_bad_optimizers_are_refused(data: SyntheticDataset, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(**kwargs).fit(data, context=watched()[0])


@pytest.mark.parametrize(("cls", "argument"), [(ALSTM, "rnn_type"), (GATs, "base_model")])
def test_an_unknown_layer_is_refused_by_the_constructor(cls: Any, argument: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown {argument} 'GRUU'"):
        cls(**{argument: "GRUU"})


def test_a_stop_ends_at_the_next_batch(data: SyntheticDataset) -> None:
    began: list[float] = []

    def asked() -> bool:
        began.append(time.perf_counter())
        return len(began) > 30

    model = small(n_epochs=10_000, early_stop=0)
    with pytest.raises(RunStopped, match="best weights so far are kept"):
        model.fit(data, context=watched(should_stop=asked)[0])
    assert len(began) == 31
    assert model.is_fitted


def fitted_weights(model: Line) -> list[torch.Tensor]:
    assert model.network_ is not None
    return [p.detach().clone() for p in model.network_.parameters()]


@pytest.mark.parametrize("scheduler", ["plateau", "cosine", "one_cycle", "MultiStepLR", None])
@pytest.mark.parametrize(("kind", "seed"), [("epochs", 3), ("steps", 3), ("epochs", None)])
def test_a_stopped_fit_resumes_bit_for_bit(
    data: SyntheticDataset, tmp_path: Path, scheduler: Any, kind: str, seed: int | None
) -> None:
    options = {"n_epochs": 8, "scheduler": scheduler, "optimizer": "adam"}
    if scheduler == "MultiStepLR":
        options["scheduler_kwargs"] = {"milestones": [2, 5]}
    if kind == "steps":
        options |= {"max_steps": 70, "eval_steps": 9}
    asked = iter(range(10_000))
    context, first = watched(seed=seed, checkpoint_dir=tmp_path, should_stop=lambda: next(asked) > 41)
    with pytest.raises(RunStopped):
        small(**options).fit(data, context=context)
    context, events = watched(seed=seed, checkpoint_dir=tmp_path, resume=True)
    resumed = small(**options).fit(data, context=context)
    assert any("going on after" in e.text for e in events if isinstance(e, LogLine))
    drawn = {e.seed for e in [*first, *events] if isinstance(e, SeedDrawn)}
    assert len(drawn) == (seed is None), "one seed is drawn, and only where none is given"
    whole = small(**options).fit(data, context=watched(seed=drawn.pop() if seed is None else seed)[0])
    for a, b in zip(fitted_weights(whole), fitted_weights(resumed), strict=True):
        assert torch.equal(a, b)
    assert whole.outcome_ == resumed.outcome_


def test_a_finished_fit_resumes_to_its_end_at_once(data: SyntheticDataset, tmp_path: Path) -> None:
    first = small().fit(data, context=watched(checkpoint_dir=tmp_path)[0])
    context, events = watched(checkpoint_dir=tmp_path, resume=True)
    second = small().fit(data, context=context)
    assert not [e for e in events if isinstance(e, MetricLogged)]
    assert all(torch.equal(a, b) for a, b in zip(fitted_weights(first), fitted_weights(second), strict=True))


def test_a_checkpoint_of_another_fit_is_not_continued(data: SyntheticDataset, tmp_path: Path) -> None:
    small().fit(data, context=watched(checkpoint_dir=tmp_path)[0])
    context, events = watched(checkpoint_dir=tmp_path, resume=True)
    small(lr=0.03).fit(data, context=context)
    assert warnings_of(events) == ["the checkpoint is of another model, other options or other data; starting afresh"]


def test_a_broken_checkpoint_is_said_so(data: SyntheticDataset, tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match="remove it to start afresh"):
        small().fit(data, context=watched(checkpoint_dir=tmp_path, resume=True)[0])


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, {"key": "a"})

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match="free some there"):
        save_checkpoint(tmp_path, {"key": "b"})
    saved = load_checkpoint(tmp_path)
    assert saved is not None
    assert saved["key"] == "a"
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT]


VICTIM = """
import sys
from pathlib import Path
from qnb.events import MetricLogged
from qnb.models.alstm import ALSTM
from qnb.training.context import FitContext
from qnb.training.synthetic import SyntheticDataset

folder, resume = Path(sys.argv[1]), sys.argv[2] == "resume"
seed = int(sys.argv[3]) if sys.argv[3:] else None
data = SyntheticDataset(days=60, instruments=20, missing=0.0)
model = ALSTM(d_feat=3, hidden_size=8, dropout=0.1, n_epochs=25, batch_size=100, GPU=None, scheduler="plateau")
say = lambda e: print("epoch", e.step, flush=True) if isinstance(e, MetricLogged) and e.name == "lr" else None
model.fit(data, context=FitContext(threads=1, seed=seed, checkpoint_dir=folder, resume=resume, emit=say))
model.predict(data).to_frame().reset_index(drop=True).to_parquet(folder / "pred.parquet")
"""


KILLS = int(os.environ.get("QNB_TEST_KILLS", "1"))
"""How often the process is killed: once in the suite; a longer series by the environment."""


def victim(folder: Path, how: str, seed: int | None) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", VICTIM, str(folder), how, *([] if seed is None else [str(seed)])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("seed", [5, None])
@pytest.mark.parametrize("attempt", range(KILLS))
def test_killed_at_a_random_epoch_it_resumes_to_the_same_predictions(
    tmp_path: Path, attempt: int, seed: int | None
) -> None:
    import pandas as pd

    chance = random.Random(None if KILLS > 1 else attempt)
    last = chance.randrange(2, 20)
    killed = victim(tmp_path, "fresh", seed)
    assert killed.stdout is not None
    for line in killed.stdout:
        if line.strip() == f"epoch {last}":
            break
    time.sleep(chance.random() * 0.02)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -9
    resumed = victim(tmp_path, "resume", seed)
    out, _ = resumed.communicate(timeout=120)
    assert resumed.returncode == 0
    first = int(out.split()[1])
    assert last <= first <= last + 3, "it must go on after the last whole epoch"
    drawn = FitContext(checkpoint_dir=tmp_path).drawn_seed()
    whole = victim(tmp_path / "whole", "fresh", drawn if seed is None else seed)
    whole.communicate(timeout=120)
    assert whole.returncode == 0
    found, expected = (pd.read_parquet(folder / "pred.parquet") for folder in (tmp_path, tmp_path / "whole"))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_a_seed_is_drawn_once_for_a_folder_of_checkpoints(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "checkpoint"
    drawn = watched(checkpoint_dir=folder)[0].drawn_seed()
    context, events = watched(checkpoint_dir=folder)
    assert context.drawn_seed() == drawn
    assert [e.seed for e in events if isinstance(e, SeedDrawn)] == [drawn]
    assert watched()[0].drawn_seed() != watched()[0].drawn_seed(), "without a folder each fit draws its own"
    for damaged in ("12x", "", "-3", "9" * 30):
        (folder / ".seed").write_text(damaged)
        assert str(watched(checkpoint_dir=folder)[0].drawn_seed()) == (folder / ".seed").read_text() != damaged
    (tmp_path / "file").touch()
    context, events = watched(checkpoint_dir=tmp_path / "file")
    context.drawn_seed()
    assert "the seed cannot be kept" in warnings_of(events)[0]


MANY_BATCHES = """
import resource
from torch import nn
from qnb.training.context import FitContext
from qnb.training.synthetic import SyntheticDataset
from qnb.training.torch_model import TorchModel

class Wide(TorchModel):
    def build(self):
        return nn.Sequential(nn.Linear(6, 8192), nn.ReLU(), nn.Linear(8192, 1))

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

small, large = (SyntheticDataset(days=days, instruments=120, missing=0.0) for days in (40, 400))
model = Wide(max_steps=1, batch_size=1024, GPU=None).fit(small, context=FitContext(threads=1))
before, kept = peak(), []
for turn in range(4):
    kept.append((bytearray(40_000 * turn), model.predict(large, "train", context=FitContext(threads=1))))
print(len(kept[-1][1]), peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is kept between batches by telling glibc to")
def test_a_prediction_needs_no_more_memory_for_more_batches() -> None:
    done = subprocess.run([sys.executable, "-c", MANY_BATCHES], capture_output=True, text=True, check=True)
    rows, megabytes = done.stdout.split()
    assert int(rows) > 20_000
    assert float(megabytes) < 400, "what lies between the layers of 1,024 rows takes 32"


def test_finetune_goes_on_from_the_fitted_weights(data: SyntheticDataset) -> None:
    model = small(n_epochs=3, lr=0.01).fit(data, context=watched()[0])
    context, events = watched()
    first_loss = model.outcome_.history["loss.valid"]  # type: ignore[union-attr]
    model.finetune(data, context=context, n_epochs=5, lr=0.005)
    curve = [e.value for e in events if isinstance(e, MetricLogged) and e.name == "loss.valid"]
    assert len(curve) == 5
    assert curve[0] < first_loss[0]


def test_any_network_by_its_path(data: SyntheticDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_nets.py").write_text(
        "from torch import nn\n"
        "class Tiny(nn.Module):\n"
        "    def __init__(self, width, steps):\n"
        "        super().__init__()\n"
        "        self.line = nn.Linear(width * steps, 1)\n"
        "    def forward(self, x):\n"
        "        return self.line(x.flatten(1))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    model = GeneralPTNN("my_nets.Tiny", {"width": 6, "steps": 4}, n_epochs=20, lr=0.02, batch_size=200, GPU=None)
    model.fit(data, context=watched()[0])
    model.save(tmp_path / "saved")
    again = GeneralPTNN.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.predict(data), model.predict(data))
    with pytest.raises(ConfigError, match="cannot be made"):
        GeneralPTNN("my_nets.Tiny", {"wide": 6})
    with pytest.raises(ConfigError, match="OrderedDict of collections is no network"):
        GeneralPTNN("collections.OrderedDict", {})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's compiler still uses its own old parts
def test_a_compiled_network_gives_the_same(data: SyntheticDataset) -> None:
    plain = small(dropout=0.0, n_epochs=2).fit(data, context=watched()[0])
    context, events = watched()
    compiled = small(dropout=0.0, n_epochs=2, compile=True).fit(data, context=context)
    for a, b in zip(fitted_weights(plain), fitted_weights(compiled), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
    assert all("torch.compile fails" in text for text in warnings_of(events))


def test_a_seed_of_its_own_goes_before_the_runs(data: SyntheticDataset) -> None:
    one = small(seed=1).fit(data, context=watched(seed=10)[0])
    two = small(seed=1).fit(data, context=watched(seed=20)[0])
    other = small().fit(data, context=watched(seed=20)[0])
    assert all(torch.equal(a, b) for a, b in zip(fitted_weights(one), fitted_weights(two), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(fitted_weights(one), fitted_weights(other), strict=True))


def test_options_say_what_they_watch() -> None:
    assert not LoopOptions().maximize
    assert LoopOptions(metric="ic").maximize
    assert LoopOptions(max_steps=10).unit == "step"
    assert math.isclose(LoopOptions(lr=0.1).lr, 0.1)


def test_steps_end_with_the_epochs_they_may_take(data: SyntheticDataset) -> None:
    rows = len(data.sample("train", data_key="learn"))
    sizes: dict[str, Any] = {"max_steps": 5000, "batch_size": 100, "GPU": None, "pt_model_kwargs": {"input_dim": 6}}
    sizes["pt_model_kwargs"]["layers"] = [8]
    context, _ = watched()
    model = DNNModelPytorch(n_epochs=2, **sizes).fit(data, context=context)
    assert model.outcome_ is not None
    assert model.outcome_.rounds == 2 * (rows // 100)
    with pytest.raises(ConfigError, match="give one of them"):
        small(n_epochs=None)


def test_a_checkpoint_that_cannot_be_written_is_told_once_and_ends_no_training(
    data: SyntheticDataset, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    context, events = watched(checkpoint_dir=tmp_path / "file" / "checkpoint")
    model = small(n_epochs=4).fit(data, context=context)
    assert model.is_fitted
    told = [e.text for e in events if isinstance(e, LogLine) and "checkpoint cannot be written" in e.text]
    assert len(told) == 1
    assert told[0].endswith("; the training goes on")
