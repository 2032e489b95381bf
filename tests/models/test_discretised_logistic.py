"""The discretised logistic mixture against sums over all levels."""

from __future__ import annotations

import pytest
import torch

from vae_explorer.models.discretised_logistic import DiscretisedLogistic, DiscretisedLogisticPixels
from vae_explorer.models.likelihoods import pairwise_log_prob

LEVELS = torch.arange(256).double() / 255.0


def drawn(num_components: int, num: int = 5, shape=(3, 2, 2), dtype=torch.float32) -> DiscretisedLogistic:
    torch.manual_seed(num_components)
    channels, height, width = shape
    model = DiscretisedLogisticPixels(num_components)
    raw = torch.randn(num, model.outputs_per_pixel * channels, height, width, dtype=dtype) * 2
    return model(raw)


def one_pixel(mean: float, log_scale: float, num: int = 1) -> DiscretisedLogistic:
    full = torch.full((num, 1, 1, 1, 1), 1.0, dtype=torch.float64)
    return DiscretisedLogistic(0.0 * full, mean * full, log_scale * full)


def masses(likelihood: DiscretisedLogistic) -> torch.Tensor:
    """P of every level of every pixel, (256, B, C, H, W)."""
    shape = likelihood.mean_BKCHW[:, 0].shape
    return torch.stack([likelihood.log_prob_of_pixels(level.expand(shape)).exp() for level in LEVELS.to(
        likelihood.mean_BKCHW.dtype
    )])  # fmt: skip


@pytest.mark.parametrize("num_components", [1, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_levels_sum_to_one(num_components: int, dtype: torch.dtype) -> None:
    total = masses(drawn(num_components, dtype=dtype)).sum(0)
    assert (total - 1.0).abs().max() < (1e-6 if dtype == torch.float64 else 3e-6)


@pytest.mark.parametrize("mean", [-1.7, -1.0, -0.3, 0.0, 0.999, 2.5])
@pytest.mark.parametrize("log_scale", [-7.0, -5.0, -2.0, 0.0, 4.0])
def test_one_component_sums_to_one_also_where_it_is_narrow_wide_or_outside(mean: float, log_scale: float) -> None:
    assert masses(one_pixel(mean, log_scale)).sum().item() == pytest.approx(1.0, abs=1e-6)


def test_a_narrow_component_on_an_edge_sums_to_one_in_float32_too() -> None:
    likelihood = one_pixel(0.0, -7.0)
    single = DiscretisedLogistic(
        likelihood.log_weight_BKCHW.float(), likelihood.mean_BKCHW.float(), likelihood.log_scale_BKCHW.float()
    )
    levels = torch.arange(256, dtype=torch.float32) / 255
    total = sum(single.log_prob_of_pixels(level.view(1, 1, 1, 1)).exp().item() for level in levels)
    assert total == pytest.approx(1.0, abs=1e-6)


def test_a_level_has_the_mass_between_its_edges() -> None:
    likelihood = one_pixel(0.2, -1.5)
    edge = 2.0 * (torch.arange(1, 256).double() - 0.5) / 255.0 - 1.0
    below = torch.sigmoid((edge - 0.2) / torch.tensor(-1.5).double().exp())
    expected = torch.diff(below, prepend=torch.zeros(1), append=torch.ones(1))
    torch.testing.assert_close(masses(likelihood).flatten(), expected, rtol=1e-9, atol=1e-12)


def test_far_from_the_mean_digits_and_gradients_are_kept() -> None:
    mean = torch.full((1, 1, 1, 1, 1), -0.9, requires_grad=True)
    log_scale = torch.full((1, 1, 1, 1, 1), -7.0, requires_grad=True)
    likelihood = DiscretisedLogistic(torch.zeros_like(mean), mean, log_scale)
    found = likelihood.log_prob(torch.full((1, 1, 1, 1), 200 / 255))
    exact = one_pixel(-0.9, -7.0).log_prob(torch.full((1, 1, 1, 1), 200 / 255, dtype=torch.float64))
    assert found.item() < -1000
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)
    found.sum().backward()
    assert torch.isfinite(mean.grad).all()
    assert torch.isfinite(log_scale.grad).all()
    assert mean.grad.item() > 0


@pytest.mark.parametrize("num_components", [1, 5])
def test_the_mean_is_that_of_the_levels_to_half_a_level(num_components: int) -> None:
    likelihood = drawn(num_components, dtype=torch.float64)
    exact = (masses(likelihood) * LEVELS[:, None, None, None, None]).sum(0)
    assert (likelihood.mean_BCHW - exact).abs().max() < 0.5 / 255
    wide = one_pixel(0.3, -2.0)
    exact = (masses(wide).flatten() * LEVELS).sum()
    assert wide.mean_BCHW.item() == pytest.approx(exact.item(), abs=1e-6)


def test_draws_are_levels_with_their_probabilities() -> None:
    num = 30_000
    torch.manual_seed(0)
    pixel = DiscretisedLogisticPixels(3)(
        torch.tensor([-0.9, 0.1, 1.1, -2.0, -3.0, -1.0, 0.0, 1.0, 0.5]).reshape(1, 9, 1, 1)
    )
    many = DiscretisedLogistic(*(
        part.expand(num, -1, -1, -1, -1) for part in (pixel.log_weight_BKCHW, pixel.mean_BKCHW, pixel.log_scale_BKCHW)
    ))  # fmt: skip
    level = (many.sample(torch.Generator().manual_seed(0)) * 255).flatten()
    torch.testing.assert_close(level, level.round(), rtol=0, atol=1e-4)
    share = torch.bincount(level.round().long(), minlength=256) / num
    expected = masses(pixel).flatten()
    assert (share.cumsum(0) - expected.cumsum(0)).abs().max() < 1.95 / num**0.5


@pytest.mark.parametrize("num_components", [1, 3])
def test_a_table_of_all_levels_gives_the_same_pairs_as_one_by_one(
    num_components: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two points a part, so that parts are joined too.
    monkeypatch.setattr("vae_explorer.models.discretised_logistic._TABLE_NUMBERS", 2 * 12 * 256)
    likelihood = drawn(num_components)
    x = torch.randint(0, 256, (70, 3, 2, 2)) / 255.0
    pairs = pairwise_log_prob(likelihood, x)
    rows = torch.stack([likelihood.log_prob(x_CHW.expand(5, -1, -1, -1)) for x_CHW in x]).double()
    assert pairs.shape == (70, 5)
    torch.testing.assert_close(pairs, rows, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(pairwise_log_prob(likelihood, x[:3]), rows[:3])


@pytest.mark.parametrize("num_components", [1, 3])
def test_the_first_bias_starts_wide_about_the_mean_image(num_components: int) -> None:
    mean_CHW = torch.rand(3, 2, 2) * 0.4 + 0.3
    model = DiscretisedLogisticPixels(num_components)
    decoded = model(model.first_bias(mean_CHW)[None])
    torch.testing.assert_close(decoded.mean_BCHW[0], mean_CHW, rtol=0, atol=0.1)
    assert decoded.log_prob(torch.rand(1, 3, 2, 2)).item() > -12 * 7


def test_a_wild_decoder_gives_nothing_that_is_not_finite() -> None:
    raw = torch.tensor([-1e4, 1e4]).repeat_interleave(3).reshape(1, 6, 1, 1).requires_grad_()
    for outputs in (raw, raw.flip(1)):
        log_prob = DiscretisedLogisticPixels(1)(outputs).log_prob(torch.full((1, 3, 1, 1), 0.5))
        assert torch.isfinite(log_prob).all()
        assert torch.isfinite(torch.autograd.grad(log_prob.sum(), raw)[0]).all()
