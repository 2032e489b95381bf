from __future__ import annotations

import pytest
import torch
from torch import nn

from vae_explorer.errors import SettingError
from vae_explorer.models.bodies import decoder_body, encoder_body
from vae_explorer.models.body_config import ACTIVATIONS, BODIES, NORMALISATIONS
from vae_explorer.models.building import build_model
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.interface import Batch
from vae_explorer.models.vae_config import VAEConfig

SMALL = {"hidden_widths": (6, 5), "channels": (3, 4)}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 9, 7), (1, 5, 12), (3, 64, 64), (1, 20, 1)])
def test_any_size_goes_in_and_comes_back(body: str, shape: tuple[int, int, int]) -> None:
    config = VAEConfig(body=body, **SMALL)
    x_BCHW = torch.rand(3, *shape)
    codes_BF = encoder_body(config, shape, 4)(x_BCHW)
    assert codes_BF.shape == (3, 4)
    raw = decoder_body(config, 4, (2 * shape[0], *shape[1:]))(codes_BF)
    assert raw.shape == (3, 2 * shape[0], *shape[1:])


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 7)])
def test_every_pixel_is_seen_and_every_pixel_is_painted(body: str, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    config = VAEConfig(body=body, activation="softplus", **SMALL)
    x_BCHW = torch.rand(1, *shape, requires_grad=True)
    codes = encoder_body(config, shape, 4)(x_BCHW)
    (seen,) = torch.autograd.grad(codes.square().sum(), x_BCHW)
    assert (seen != 0).all()
    decoder = decoder_body(config, 4, shape)
    spread = decoder(torch.randn(50, 4)).var(0)
    assert (spread > 0).all()


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("body", BODIES)
def test_every_choice_trains_and_is_deterministic_outside_training(body: str, normalisation: str) -> None:
    torch.manual_seed(0)
    space = DataSpace((1, 9, 7))
    config = VAEConfig(body=body, normalisation=normalisation, activation="gelu", **SMALL)
    model = build_model("vae", config, space)
    x_BCHW = (torch.rand(16, 1, 9, 7) > 0.8).float()
    batch = Batch(x_BCHW, torch.arange(16))
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(25):
        objective = model.objective(batch, torch.tensor(1.0), torch.Generator().manual_seed(0))
        optimiser.zero_grad()
        objective.loss.backward()
        optimiser.step()
        losses.append(objective.loss.item())
    assert losses[-1] < losses[0] - 2
    model.eval()
    alone = model.encode(x_BCHW[:1]).mean
    torch.testing.assert_close(alone, model.encode(x_BCHW).mean[:1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        model.decode(alone).mean_BCHW, model.decode(alone.repeat(5, 1)).mean_BCHW[:1], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("body", BODIES)
def test_batch_normalisation_takes_a_batch_of_one(body: str) -> None:
    model = build_model("vae", VAEConfig(body=body, normalisation="batch", **SMALL), DataSpace((1, 4, 4)))
    objective = model.objective(
        Batch(torch.rand(1, 1, 4, 4), torch.arange(1)), torch.tensor(1.0), torch.Generator().manual_seed(0)
    )
    assert torch.isfinite(objective.loss)


def test_batch_normalisation_is_the_textbooks_and_keeps_running_averages() -> None:
    layer = encoder_body(VAEConfig(normalisation="batch", hidden_widths=(5,)), (1, 2, 2), 3)[1]
    h_BC = torch.randn(40, 5) * 3 + 1
    expected = (h_BC - h_BC.mean(0)) / (h_BC.var(0, correction=0) + layer.eps).sqrt()
    torch.testing.assert_close(layer(h_BC), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.running_mean, 0.1 * h_BC.mean(0))


@pytest.mark.parametrize("body", BODIES)
def test_codes_keep_more_digits_than_bfloat16_has(body: str) -> None:
    torch.manual_seed(0)
    encoder = encoder_body(VAEConfig(body=body, hidden_widths=(64,), channels=(8,)), (1, 6, 6), 2)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        codes_ND = encoder(torch.randn(2000, 1, 6, 6))
    assert codes_ND.dtype == torch.float32
    assert len(codes_ND[:, 0].unique()) > 1.3 * len(codes_ND[:, 0].bfloat16().unique())


def test_the_mlps_weights_keep_their_names_and_their_draws() -> None:
    torch.manual_seed(3)
    model = build_model("vae", VAEConfig(hidden_widths=(6, 5)), DataSpace((1, 4, 4)))
    torch.manual_seed(3)
    layers = [nn.Linear(*sizes) for sizes in ((16, 6), (6, 5), (5, 4), (2, 5), (5, 6), (6, 16))]
    names = [f"{part}.{number}" for part in ("encoder", "decoder") for number in (0, 2, 4)]
    expected = {f"{name}.{kind}": getattr(layer, kind) for name, layer in zip(names, layers, strict=True)
                for kind in ("weight", "bias")}  # fmt: skip
    found = model.state_dict()
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_the_residual_body_is_the_convolutional_one_with_shortcuts() -> None:
    shape = (1, 8, 8)
    plain = encoder_body(VAEConfig(body="convolutional", **SMALL), shape, 4)
    residual = encoder_body(VAEConfig(body="residual", blocks_per_stage=2, **SMALL), shape, 4)
    blocks = [layer for layer in residual if type(layer).__name__ == "ResidualBlock"]
    assert len(blocks) == 4
    assert len(residual) == len(plain) + 4
    block = blocks[0]
    for parameter in block.body.parameters():
        nn.init.zeros_(parameter)
    h = torch.rand(2, 3, 4, 4)
    assert torch.equal(block(h), h), "with no f there is the shortcut alone"


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_activation_is_the_one_asked_for(activation: str) -> None:
    encoder = encoder_body(VAEConfig(activation=activation, hidden_widths=(5,)), (1, 2, 2), 3)
    assert type(encoder[1]).__name__.lower() == activation.replace("_", "")


def test_points_of_the_plane_and_a_body_without_stages_are_refused_at_their_settings() -> None:
    with pytest.raises(SettingError, match="points of the plane") as caught:
        build_model("vae", VAEConfig(body="residual"), DataSpace((2, 1, 1), protocol="gaussian"))
    assert caught.value.key == "model.body"
    with pytest.raises(SettingError, match="no stage") as caught:
        build_model("vae", VAEConfig(body="convolutional", channels=()), DataSpace((1, 8, 8)))
    assert caught.value.key == "model.channels"


def test_a_convolutional_decoder_starts_at_the_mean_pixel() -> None:
    config = VAEConfig(body="convolutional", start_at_mean_image=True, **SMALL)
    model = build_model("vae", config, DataSpace((3, 9, 7)))
    mean_CHW = torch.rand(3, 9, 7)
    model.start_from(mean_CHW)
    torch.testing.assert_close(torch.sigmoid(model.decoder[-1].bias), mean_CHW.mean((1, 2)))
