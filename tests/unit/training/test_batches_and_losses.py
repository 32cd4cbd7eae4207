"""Batches, losses, correlations, and the GRU with the hand-written gradient."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from qnb.errors import EmptyDataError
from qnb.models._networks.recurrent import GRU
from qnb.models._networks.transformer import EncoderLayer
from qnb.training import losses
from qnb.training.batches import AT_ONCE, Batch, ahead, epoch_order, fit_data, in_order, predict_data, step_order
from qnb.training.context import FitContext
from qnb.training.options import LoopOptions
from qnb.training.scoring import daily_ic, daily_rank_ic, mean_ic
from qnb.training.synthetic import SyntheticDataset

QUIET = FitContext.quiet()


def rows_of(data: SyntheticDataset, *, windows: bool = False) -> Any:
    return fit_data(data, "train", windows=windows, context=QUIET, model="a model")


@pytest.fixture(scope="module")
def data() -> SyntheticDataset:
    return SyntheticDataset(days=30, instruments=7, features=4, missing=0.03, step_len=5)


def test_rows_are_the_complete_ones_in_order(data: SyntheticDataset) -> None:
    rows, sample = rows_of(data), data.sample("train", data_key="learn")
    complete = np.isfinite(sample.x).all(axis=1)
    batch = rows.batch(torch.arange(len(rows)))
    np.testing.assert_array_equal(batch.x.numpy(), sample.x[complete])
    np.testing.assert_array_equal(batch.y.numpy(), sample.y[complete, 0])
    np.testing.assert_array_equal(rows.keep, np.flatnonzero(complete))


def test_a_complete_matrix_is_not_copied() -> None:
    sample = SyntheticDataset(missing=0.0).sample("train", data_key="learn")

    class Fixed:
        def sample(self, *_: Any, **__: Any) -> Any:
            return sample

    rows = fit_data(Fixed(), "train", windows=False, context=QUIET, model="a model")
    assert rows.data.data_ptr() == sample.x.ctypes.data
    assert rows.place is None


def test_windows_are_the_ones_of_the_dataset(data: SyntheticDataset) -> None:
    rows = rows_of(data, windows=True)
    source = data.windows("train", data_key="learn", fillna_type="ffill+bfill")
    expected = source.gather(np.arange(len(source)))[rows.keep][..., :4]
    got = rows.gather(torch.arange(len(rows)))
    np.testing.assert_array_equal(got.numpy(), expected)
    assert rows.shape == (5, 4)
    assert not torch.isnan(got).any()


def test_an_epoch_sees_every_row_once_but_the_rest(data: SyntheticDataset) -> None:
    rows = rows_of(data)
    order = epoch_order(rows, LoopOptions(batch_size=16), torch.Generator().manual_seed(0))
    seen = torch.cat(order)
    assert all(len(part) == 16 for part in order)
    assert len(seen.unique()) == len(seen) == len(rows) // 16 * 16
    assert len(epoch_order(rows, LoopOptions(batch_size=10**6), torch.Generator())[0]) == len(rows)


@pytest.mark.parametrize("batching", ["day", "days"])
def test_whole_dates_stay_together(data: SyntheticDataset, batching: str) -> None:
    rows = rows_of(data)
    order = epoch_order(rows, LoopOptions(batching=batching, batch_size=20), torch.Generator().manual_seed(1))
    assert sorted(torch.cat(order).tolist()) == list(range(len(rows)))
    counts = np.bincount(rows.day.numpy())
    for part in order:
        days, found = np.unique(rows.day[part].numpy(), return_counts=True)
        assert (found == counts[days]).all(), "a date is never torn"
        assert batching == "days" or len(days) == 1


def test_steps_are_drawn_with_replacement(data: SyntheticDataset) -> None:
    rows = rows_of(data)
    order = step_order(rows, LoopOptions(batch_size=500), torch.Generator().manual_seed(1), 3)
    assert [len(part) for part in order] == [500, 500, 500]
    assert int(torch.cat(order).max()) < len(rows)


def test_predictions_go_through_all_rows_in_order(data: SyntheticDataset) -> None:
    rows = predict_data(data, "test", windows=False, model="a model")
    for batching in ("rows", "day"):
        parts = in_order(rows, LoopOptions(batching=batching, batch_size=9))
        assert torch.cat(parts).tolist() == list(range(len(rows)))


def test_a_cpu_predicts_large_batches_in_parts() -> None:
    rows = predict_data(SyntheticDataset(days=200, instruments=60, missing=0.0), "test", windows=False, model="a model")
    sizes = {d: [len(p) for p in in_order(rows, LoopOptions(batch_size=5000, device=d))] for d in ("cpu", "cuda")}
    assert sum(sizes["cpu"]) == sum(sizes["cuda"]) == len(rows) > AT_ONCE
    assert max(sizes["cpu"]) == AT_ONCE < max(sizes["cuda"])


def test_no_complete_row_is_said_so() -> None:
    with pytest.raises(EmptyDataError, match="Fillna"):
        rows_of(SyntheticDataset(days=20, missing=1.0))


def test_batches_made_ahead_are_the_same_and_the_thread_ends() -> None:
    before = threading.active_count()
    parts = [Batch(torch.full((1,), float(i)), torch.zeros(1), None, torch.zeros(1)) for i in range(20)]
    assert [float(b.x) for b in ahead(iter(parts))] == list(range(20))
    given = ahead(iter(parts))
    next(given)
    given.close()  # type: ignore[attr-defined]

    def broken() -> Any:
        yield parts[0]
        raise ValueError("the disk is gone")

    with pytest.raises(ValueError, match="the disk is gone"):
        list(ahead(broken()))
    assert threading.active_count() == before


def days_strategy() -> Any:
    return st.lists(st.integers(1, 12), min_size=1, max_size=6)


@settings(max_examples=50, deadline=None)
@given(days_strategy(), st.integers(0, 2**31))
def test_correlations_are_those_of_scipy(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(len(sizes)), sizes)
    p, y = rng.integers(0, 6, len(day)).astype(np.float32), rng.standard_normal(len(day)).astype(np.float32)
    for i, (ic, rank) in enumerate(zip(daily_ic(p, y, day), daily_rank_ic(p, y, day), strict=True)):
        a, b = p[day == i], y[day == i]
        if len(a) < 2 or a.std() == 0 or b.std() == 0:
            assert np.isnan(ic)
        else:
            assert ic == pytest.approx(stats.pearsonr(a, b)[0], abs=1e-5)
            assert rank == pytest.approx(stats.spearmanr(a, b)[0], abs=1e-9)


def test_mean_correlation_without_a_date_is_zero() -> None:
    assert mean_ic(np.array([np.nan, np.nan])) == 0.0
    assert mean_ic(np.array([np.nan, 0.5])) == 0.5


def test_the_ic_loss_is_one_minus_the_mean_correlation() -> None:
    generator = torch.Generator().manual_seed(0)
    day = torch.repeat_interleave(torch.arange(5), 20)
    p, y = torch.randn(100, generator=generator), torch.randn(100, generator=generator)
    expected = 1 - daily_ic(p.numpy(), y.numpy(), day.numpy()).mean()
    assert float(losses.ic(p, y, None, day)) == pytest.approx(expected, abs=1e-5)
    assert float(losses.ic(y, y, torch.ones(100), day)) == pytest.approx(0.0, abs=1e-5)
    alone = losses.ic(p[:1].requires_grad_(), y[:1], None, day[:1])
    alone.backward()
    assert torch.isfinite(alone)


def test_the_ranking_loss_prefers_the_right_order() -> None:
    day = torch.zeros(4, dtype=torch.int64)
    y = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert losses.ranking(y, y, None, day) < losses.ranking(-y, y, None, day)
    assert torch.isfinite(losses.ranking(y[:1], y[:1], None, day[:1]))


def test_weights_scale_the_losses() -> None:
    p, y, w = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 0.0]), torch.tensor([2.0, 0.0])
    day = torch.zeros(2, dtype=torch.int64)
    assert float(losses.mse(p, y, w, day)) == 1.0
    assert float(losses.mae(p, y, w, day)) == 1.0
    assert float(losses.huber(p, y, None, day)) == pytest.approx((0.5 + 2.5) / 2)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_gru_is_torchs(layers: int) -> None:
    torch.manual_seed(0)
    ours, theirs = GRU(6, 16, layers), nn.GRU(6, 16, layers, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    a = torch.randn(9, 12, 6, requires_grad=True)
    b = a.detach().clone().requires_grad_()
    out_a, last_a = ours(a)
    out_b, last_b = theirs(b)
    torch.testing.assert_close(out_a, out_b)
    torch.testing.assert_close(last_a, last_b)
    pull = torch.randn_like(out_a)
    (out_a * pull).sum().backward()
    (out_b * pull).sum().backward()
    torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-4)
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, atol=1e-4, rtol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(ours(a)[0], theirs(a)[0])


def test_the_gru_falls_back_to_torchs_own() -> None:
    layer = GRU(3, 4).double()
    assert layer(torch.randn(2, 5, 3, dtype=torch.float64))[0].shape == (2, 5, 4)
    state = torch.zeros(1, 2, 4)
    assert GRU(3, 4)(torch.randn(2, 5, 3), state)[0].shape == (2, 5, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert GRU(3, 4)(torch.randn(2, 5, 3))[0].shape == (2, 5, 4)


@pytest.mark.parametrize("training", [True, False])
def test_the_encoder_read_at_the_last_step_gives_the_same(training: bool) -> None:
    torch.manual_seed(0)
    layer = EncoderLayer(8, 2, dropout=0.0).train(training)
    plain = nn.TransformerEncoderLayer(8, 2, dropout=0.0, batch_first=True).train(training)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(5, 7, 8)
    torch.testing.assert_close(layer(x), plain(x))
    torch.testing.assert_close(layer(x, last_only=True)[:, 0], plain(x)[:, -1])
