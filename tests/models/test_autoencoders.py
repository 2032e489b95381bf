"""Linear, plain and denoising autoencoders, and the density that is fitted to codes afterwards."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vae_explorer.errors import SettingError, UserError
from vae_explorer.models.autoencoder import Autoencoder
from vae_explorer.models.autoencoder_config import AutoencoderConfig, DenoisingConfig, LinearAutoencoderConfig
from vae_explorer.models.building import build_model
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.denoising_autoencoder import DenoisingAutoencoder
from vae_explorer.models.ex_post_density import fit_ex_post_density
from vae_explorer.models.interface import Batch

SPACE = DataSpace((1, 6, 6))
ONE = torch.tensor(1.0)


def pictures(num: int = 40) -> torch.Tensor:
    return torch.rand(num, 1, 6, 6, generator=torch.Generator().manual_seed(3))


def batch_of(x_BCHW: torch.Tensor) -> Batch:
    return Batch(x_BCHW, torch.arange(len(x_BCHW)))


def built(name: str, config: object, space: DataSpace = SPACE) -> Autoencoder:
    torch.manual_seed(0)
    model = build_model(name, config, space)
    assert isinstance(model, Autoencoder)
    return model


def denoising(**choices: object) -> DenoisingAutoencoder:
    model = built("denoising-autoencoder", DenoisingConfig(hidden_widths=(16,), **choices))  # type: ignore[arg-type]
    assert isinstance(model, DenoisingAutoencoder)
    return model


def test_the_linear_autoencoder_finds_the_plane_of_pca() -> None:
    generator = torch.Generator().manual_seed(1)
    # Variances that fall fast, so that the plane is well defined, in a random direction of 12 dimensions.
    scale_P = torch.tensor([3.0, 2.0, *[0.3] * 10])
    turn_PP = torch.linalg.qr(torch.randn(12, 12, generator=generator)).Q
    x_NP = torch.randn(2000, 12, generator=generator) * scale_P @ turn_PP + 0.5
    model = built("linear-autoencoder", LinearAutoencoderConfig(latent_dimensions=2), DataSpace((1, 3, 4)))
    batch = batch_of(x_NP.reshape(-1, 1, 3, 4))
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = model.objective(batch, ONE, None).loss
        value.backward()
        return value

    optimiser.step(loss)
    centred_NP = x_NP - x_NP.mean(0)
    _, _, axes_PP = torch.linalg.svd(centred_NP, full_matrices=False)
    pca_error = (centred_NP - centred_NP @ axes_PP[:2].T @ axes_PP[:2]).square().sum(-1).mean()
    found = model.objective(batch, ONE, None).terms["squared_error"]
    assert float(found) == pytest.approx(float(pca_error), rel=0.005)
    found_P2 = torch.linalg.qr(model.decoder[-1].weight.detach()).Q  # type: ignore[index,union-attr]
    cosines_2 = torch.linalg.svdvals(axes_PP[:2] @ found_P2)
    assert math.degrees(math.acos(min(1.0, float(cosines_2.min())))) < 2.0


def test_the_error_is_a_sum_over_pixels_averaged_over_images() -> None:
    model, x_BCHW = built("autoencoder", AutoencoderConfig(hidden_widths=(16,))), pictures()
    decoded_BCHW = model.decode(model.encode(x_BCHW).mean).mean_BCHW
    direct = ((decoded_BCHW - x_BCHW) ** 2).sum() / len(x_BCHW)
    found = model.objective(batch_of(x_BCHW), ONE, None)
    torch.testing.assert_close(found.loss, direct)
    assert 0 < decoded_BCHW.min() < decoded_BCHW.max() < 1
    torch.testing.assert_close(model.vector_field(x_BCHW), decoded_BCHW - x_BCHW)


def test_cross_entropy_is_that_of_the_decoded_picture_and_the_curve_stays_the_squared_error() -> None:
    model, x_BCHW = built("autoencoder", AutoencoderConfig(hidden_widths=(16,), error="cross-entropy")), pictures()
    p_BCHW = model.decode(model.encode(x_BCHW).mean).mean_BCHW
    direct = -(x_BCHW * p_BCHW.log() + (1 - x_BCHW) * (1 - p_BCHW).log()).sum() / len(x_BCHW)
    found = model.objective(batch_of(x_BCHW), ONE, None)
    torch.testing.assert_close(found.loss, direct)
    torch.testing.assert_close(found.terms["squared_error"], ((p_BCHW - x_BCHW) ** 2).sum() / len(x_BCHW))


def test_cross_entropy_of_points_is_refused_in_a_sentence() -> None:
    for name, config_type in (("autoencoder", AutoencoderConfig), ("denoising-autoencoder", DenoisingConfig)):
        with pytest.raises(SettingError, match="points of the plane") as caught:
            built(name, config_type(error="cross-entropy"), DataSpace((2, 1, 1), protocol="gaussian"))
        assert caught.value.key == "model.error"


@pytest.mark.parametrize("corruption", ["masking", "gaussian", "salt-and-pepper"])
def test_without_noise_it_is_the_plain_autoencoder_bit_for_bit(corruption: str) -> None:
    plain = built("autoencoder", AutoencoderConfig(hidden_widths=(16,)))
    quiet = denoising(corruption=corruption, corrupted_share=0.0, noise_sigma=0.0)
    generator = torch.Generator().manual_seed(5)
    state = generator.get_state()
    for model in (plain, quiet):
        optimiser = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(20):
            optimiser.zero_grad()
            model.objective(batch_of(pictures()), ONE, generator).loss.backward()
            optimiser.step()
    assert torch.equal(generator.get_state(), state)
    for a, b in zip(plain.state_dict().values(), quiet.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_corruptions_are_what_they_say() -> None:
    x_BCHW = 0.2 + 0.6 * torch.rand(200, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    num, share = x_BCHW.numel(), 0.3
    four_errors = 4 * math.sqrt(share * (1 - share) / num)
    masked = denoising(corruption="masking", corrupted_share=share).corrupted(x_BCHW, None)
    assert float((masked == 0).float().mean()) == pytest.approx(share, abs=four_errors)
    assert torch.equal(masked[masked != 0], x_BCHW[masked != 0])
    peppered = denoising(corruption="salt-and-pepper", corrupted_share=share).corrupted(x_BCHW, None)
    for value in (0.0, 1.0):
        assert float((peppered == value).float().mean()) == pytest.approx(share / 2, abs=four_errors)
    noise = denoising(corruption="gaussian", noise_sigma=0.5).corrupted(x_BCHW, None) - x_BCHW
    assert float(noise.std()) == pytest.approx(0.5, rel=0.05)
    assert abs(float(noise.mean())) < 4 * 0.5 / math.sqrt(num)


def test_the_same_generator_gives_the_same_masks_and_each_visit_others() -> None:
    model, x_BCHW = denoising(), pictures()
    draws = [model.corrupted(x_BCHW, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_both_errors_are_reported_and_touched_pixels_can_weigh_more() -> None:
    x_BCHW = pictures()
    model, heavy = denoising(), denoising(corrupted_weight=3.0)
    heavy.load_state_dict(model.state_dict())
    seed = torch.Generator().manual_seed
    noisy_BCHW = model.corrupted(x_BCHW, seed(9))
    from_noisy = (model.decode(model.encode(noisy_BCHW).mean).mean_BCHW - x_BCHW) ** 2
    from_clean = (model.decode(model.encode(x_BCHW).mean).mean_BCHW - x_BCHW) ** 2
    found = model.objective(batch_of(x_BCHW), ONE, seed(9))
    torch.testing.assert_close(found.loss, from_noisy.sum() / len(x_BCHW))
    torch.testing.assert_close(found.terms["squared_error"], from_noisy.sum().detach() / len(x_BCHW))
    torch.testing.assert_close(found.terms["clean_squared_error"], from_clean.sum().detach() / len(x_BCHW))
    torch.testing.assert_close(found.codes_BD, model.encode(x_BCHW).mean.detach())
    weight = torch.where(noisy_BCHW != x_BCHW, 3.0, 1.0)
    found = heavy.objective(batch_of(x_BCHW), ONE, seed(9))
    torch.testing.assert_close(found.loss, (weight * from_noisy).sum() / len(x_BCHW))


def test_the_field_of_a_denoising_autoencoder_points_up_the_density() -> None:
    # Points around a circle: for small noise r(x) - x is noise^2 times the score (Alain & Bengio, theorem 1).
    generator = torch.Generator().manual_seed(2)
    angle_N = 2 * math.pi * torch.rand(4000, generator=generator)
    x_N2 = torch.stack([angle_N.cos(), angle_N.sin()], 1) + 0.05 * torch.randn(4000, 2, generator=generator)
    config = DenoisingConfig(
        hidden_widths=(64, 64), activation="tanh", latent_dimensions=2, corruption="gaussian", noise_sigma=0.2
    )
    model = built("denoising-autoencoder", config, DataSpace((2, 1, 1), protocol="gaussian"))
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(400):
        optimiser.zero_grad()
        some_B2 = x_N2[torch.randint(4000, (500,), generator=generator)]
        model.objective(batch_of(some_B2[:, :, None, None]), ONE, generator).loss.backward()
        optimiser.step()
    at_N2 = torch.stack([angle_N.cos(), angle_N.sin()], 1)[:100]
    for radius, sign in ((0.75, 1.0), (1.25, -1.0)):
        field_N2 = model.vector_field((radius * at_N2)[:, :, None, None]).detach().flatten(1)
        outwards_N = sign * (field_N2 * at_N2).sum(-1)
        assert float((outwards_N > 0).float().mean()) > 0.95


# --- ex-post


def clusters(num: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    centre_K2 = torch.tensor([[4.0, 0.0], [-4.0, 0.0], [0.0, 4.0]])
    return centre_K2[torch.arange(num) % 3] + 0.3 * torch.randn(num, 2, generator=generator)


def test_the_ex_post_density_draws_where_the_codes_are() -> None:
    codes_N2 = clusters(3000)
    before = torch.random.get_rng_state()
    density = fit_ex_post_density(codes_N2)
    drawn_N2 = density.sample(2000, torch.Generator().manual_seed(0))
    assert torch.equal(torch.random.get_rng_state(), before)
    nearest_N = torch.cdist(drawn_N2, codes_N2).amin(1)
    assert float(nearest_N.quantile(0.99)) < 0.5
    share_K = torch.bincount(torch.cdist(drawn_N2, clusters(3)).argmin(1), minlength=3) / 2000
    assert share_K.numpy() == pytest.approx(np.full(3, 1 / 3), abs=0.05)
    # It integrates to one.
    line = torch.linspace(-7, 7, 281)
    z_GD = torch.cartesian_prod(line, line)
    assert float(density.log_prob(z_GD).exp().sum() * 0.05**2) == pytest.approx(1.0, abs=1e-3)


def test_a_later_density_goes_on_from_the_earlier_one() -> None:
    first = fit_ex_post_density(clusters(600))
    before = first.log_prob(clusters(900)).mean()
    again = fit_ex_post_density(clusters(600), first)
    assert again.log_prob(clusters(600)).mean() >= before - 0.05
    other = fit_ex_post_density(torch.randn(600, 3), first)
    assert other.sample(5, None).shape == (5, 3)


def test_codes_that_are_few_or_not_finite_are_told_or_left_out() -> None:
    codes_N2 = clusters(300)
    codes_N2[7] = float("nan")
    assert torch.isfinite(fit_ex_post_density(codes_N2).sample(50, None)).all()
    with pytest.raises(UserError, match="too few codes"):
        fit_ex_post_density(codes_N2[7:8])
    assert fit_ex_post_density(clusters(3)).mixture.num_components == 3
