"""The VQ-VAE: its gradients, its bound, its two stages, and a run that goes on across them."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from tests.training.streams import all_events, of_type
from vae_explorer.datasets.image_dataset import ImageDataset
from vae_explorer.datasets.protocols import apply_protocol
from vae_explorer.latent.explorer import Explorer
from vae_explorer.models.building import build_model
from vae_explorer.models.codebook import perplexity
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.interface import Batch
from vae_explorer.models.vqvae import VQVAE
from vae_explorer.models.vqvae_config import VQVAEConfig
from vae_explorer.training import events
from vae_explorer.training.control import Control
from vae_explorer.training.hardware import generator_for
from vae_explorer.training.run_config import DataConfig, RunConfig, default_config
from vae_explorer.training.trainer import Trainer, _stream

SMALL = VQVAEConfig(
    num_codes=7,
    code_dimensions=3,
    body_channels=6,
    residual_blocks=1,
    prior_channels=5,
    prior_layers=2,
    codebook_epochs=2,
)


def small_model(image_shape: tuple[int, int, int] = (1, 8, 8), **changes: object) -> VQVAE:
    torch.manual_seed(0)
    model = build_model("vqvae", dataclasses.replace(SMALL, **changes), DataSpace(image_shape))
    assert isinstance(model, VQVAE)
    return model


def a_batch(num: int = 10, shape: tuple[int, int, int] = (1, 8, 8)) -> Batch:
    x_BCHW = torch.rand(num, *shape, generator=torch.Generator().manual_seed(1))
    return Batch(x_BCHW, torch.arange(num))


def objective_of(model: VQVAE, batch: Batch):
    return model.objective(batch, torch.tensor(1.0), torch.Generator().manual_seed(0))


def born(model: VQVAE, batch: Batch) -> VQVAE:
    """The model with its codes on encoder outputs, none of them dead."""
    with torch.no_grad():
        objective_of(model, batch)
    model.codebook.counts_K.fill_(1.0)
    return model


def test_the_encoder_gets_the_decoders_gradient_and_that_of_the_commitment() -> None:
    batch = a_batch()
    model = born(small_model(commitment=0.5), batch).eval()
    z_BDRW = model.continuous(batch.x_BCHW).detach()
    codes_BDRW = model.vectors(model.encode(batch.x_BCHW).mean).detach().requires_grad_()
    (-model.picture(codes_BDRW).log_prob(batch.x_BCHW).mean()).backward()
    assert codes_BDRW.grad is not None
    expected = codes_BDRW.grad + 0.5 * 2 * (z_BDRW - codes_BDRW.detach()) / 10

    found = []
    handle = model.to_code.register_full_backward_hook(lambda _module, _inputs, outputs: found.append(outputs[0]))
    objective_of(model, batch).loss.backward()
    handle.remove()
    torch.testing.assert_close(found[0], expected)


def test_the_codebook_loss_pulls_codes_to_what_chose_them_and_nothing_else_does() -> None:
    batch = a_batch()
    model = born(small_model(codebook="loss", commitment=0.0), batch).eval()
    z_ND = model.continuous(batch.x_BCHW).detach().movedim(1, -1).flatten(0, -2)
    index_N = model.encode(batch.x_BCHW).mean.flatten()
    codes_KD = model.codebook.codes_KD
    expected_KD = torch.zeros_like(codes_KD)
    for z_D, index in zip(z_ND, index_N, strict=True):
        expected_KD[index] += 2 * (codes_KD[index].detach() - z_D) / 10
    objective_of(model, batch).loss.backward()
    torch.testing.assert_close(codes_KD.grad, expected_KD)


def test_averaged_codes_have_no_gradient_and_move_only_in_training() -> None:
    batch = a_batch()
    model = born(small_model(), batch)
    before_KD = model.codebook.codes_KD.clone()
    objective_of(model.eval(), batch).loss.backward()
    assert model.codebook.codes_KD.grad is None
    assert torch.equal(model.codebook.codes_KD, before_KD)
    objective_of(model.train(), batch)
    assert not torch.equal(model.codebook.codes_KD, before_KD)


def test_before_the_priors_stage_the_bound_is_with_the_uniform_prior() -> None:
    batch = a_batch()
    model = born(small_model(), batch).eval()
    terms = objective_of(model, batch).terms
    grid = model.encode(batch.x_BCHW).mean
    assert model.latent_space.shape == (2, 2)
    assert float(terms["code_cost"]) == pytest.approx(4 * math.log(7))
    assert float(terms["prior_saving"]) == pytest.approx(0.0, abs=1e-5)
    assert model.log_prior(grid).tolist() == pytest.approx([-4 * math.log(7)] * 10, rel=1e-6)
    reconstruction = -model.decode(grid).log_prob(batch.x_BCHW).mean().detach()
    assert float(terms["reconstruction"]) == pytest.approx(float(reconstruction), rel=1e-6)
    assert float(terms["elbo"]) == pytest.approx(-float(reconstruction) - 4 * math.log(7), rel=1e-6)


def test_in_the_priors_stage_the_bound_is_both_terms_and_only_the_prior_is_trained() -> None:
    batch = a_batch()
    model = born(small_model(), batch)
    assert [model.end_epoch() for _ in range(3)] == [False, True, False]
    with torch.no_grad():
        for parameter in model.prior.parameters():
            parameter.normal_(std=0.3)
    before = {name: value.clone() for name, value in model.codebook.state_dict().items()}
    objective = objective_of(model, batch)
    objective.loss.backward()
    with_gradient = {name.split(".")[0] for name, value in model.named_parameters() if value.grad is not None}
    assert with_gradient == {"prior"}
    for name, value in model.codebook.state_dict().items():
        assert torch.equal(value, before[name])
    posterior = model.encode(batch.x_BCHW)
    cost = -model.log_prior(posterior.mean).mean().detach()
    reconstruction = -model.decode(posterior.mean).log_prob(batch.x_BCHW).mean().detach()
    assert abs(float(cost) - 4 * math.log(7)) > 0.1
    torch.testing.assert_close(objective.terms["elbo"], -(reconstruction + cost))
    torch.testing.assert_close(objective.terms["code_cost"], cost)
    torch.testing.assert_close(posterior.kl().mean().detach(), cost)
    saving = 100 * (1 - float(cost) / (4 * math.log(7)))
    assert float(objective.terms["prior_saving"]) == pytest.approx(saving, rel=1e-4)


def test_the_posterior_has_all_its_mass_on_one_grid() -> None:
    model = small_model()
    posterior = model.encode(a_batch().x_BCHW)
    other = posterior.mean.clone()
    other[0, 1, 1] = (other[0, 1, 1] + 1) % 7
    assert torch.equal(posterior.sample(None), posterior.mean)
    assert posterior.log_prob(other).tolist() == [-math.inf] + [0.0] * 9


@pytest.mark.parametrize(
    ("shape", "halvings", "grid"),
    [((3, 8, 8), 2, (2, 2)), ((1, 9, 13), 2, (3, 4)), ((1, 5, 3), 0, (5, 3)), ((1, 2, 3), 3, (1, 1))],
)
def test_any_size_and_colour(shape: tuple[int, int, int], halvings: int, grid: tuple[int, int]) -> None:
    model, batch = small_model(shape, halvings=halvings), a_batch(shape=shape)
    assert model.latent_space.shape == grid
    assert model.encode(batch.x_BCHW).mean.shape == (10, *grid)
    assert model.decode(model.encode(batch.x_BCHW).mean).mean_BCHW.shape == (10, *shape)
    assert torch.isfinite(objective_of(model, batch).loss)
    assert model.decode(model.sample_prior(2, torch.Generator().manual_seed(0))).mean_BCHW.shape == (2, *shape)


# --- whole runs


def run_config(**changes: object) -> RunConfig:
    config = default_config()
    return dataclasses.replace(
        config,
        data=DataConfig(dataset="mnist", protocol="dynamic"),
        model_name="vqvae",
        model=dataclasses.replace(SMALL, **changes),
        training=dataclasses.replace(
            config.training, epochs=4, batch_size=50, learning_rate=1e-2, learning_rate_schedule="constant",
            num_threads=1, precision="float32", device="cpu", validation_interval_images=240,
        ),
        recording=dataclasses.replace(config.recording, report_interval_seconds=0.01),
    )  # fmt: skip


def last_state(found: list[events.Event]) -> events.TrainingState:
    finished = found[-1]
    assert isinstance(finished, events.Finished)
    assert finished.state is not None
    return finished.state


def test_a_run_learns_the_codes_and_then_the_prior(tiny_dataset: ImageDataset) -> None:
    config = dataclasses.replace(run_config(codebook_epochs=12), training=dataclasses.replace(
        run_config().training, epochs=30))  # fmt: skip
    checks = of_type(all_events(Trainer(config, tiny_dataset)), events.Validated)
    costs = {check.epoch: check.terms["code_cost"] for check in checks}
    uniform = 4 * math.log(7)
    assert all(cost == pytest.approx(uniform, rel=1e-5) for epoch, cost in costs.items() if epoch <= 12)
    assert costs[30.0] < 0.9 * uniform
    reconstructions = [check.terms["reconstruction"] for check in checks if check.epoch >= 12]
    assert max(reconstructions) - min(reconstructions) < 1e-4, "the second stage leaves the picture alone"
    assert reconstructions[0] < checks[0].terms["reconstruction"] - 5


def test_heldout_perplexity_is_that_of_all_counts(tiny_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_explorer.training.heldout.CHUNK", 7)
    trainer = Trainer(run_config(), tiny_dataset)
    list(trainer.run(Control()))
    terms = trainer.validate().terms
    model = trainer.model.eval()
    noise = generator_for(torch.device("cpu"), _stream(trainer.config.training.seed, 5) + 1)
    counts_K = torch.zeros(7)
    for index_B in tiny_dataset.heldout_index_N.split(7):
        x_BCHW = apply_protocol("dynamic", tiny_dataset.images.gather(index_B), noise)
        counts_K += torch.bincount(model.encode(x_BCHW).mean.flatten(), minlength=7)
    assert counts_K.sum() == 60 * 4
    assert terms["perplexity"] == pytest.approx(float(perplexity(counts_K)), rel=1e-5)


@pytest.mark.parametrize("stop_at", [7, 10, 13])
def test_a_run_goes_on_bit_for_bit_before_at_and_after_the_change_of_stage(
    tiny_dataset: ImageDataset, stop_at: int
) -> None:
    """Five steps an epoch; the prior's stage begins after step 10."""
    whole = last_state(all_events(Trainer(run_config(), tiny_dataset)))
    first, control = Trainer(run_config(), tiny_dataset), Control()
    stream = first.run(control)
    next(stream)
    for _ in range(stop_at):
        control.step_once()
    next(event for event in stream if isinstance(event, events.MetricsChunk) and event.step == stop_at)
    state = first.state()
    stream.close()
    assert state is not None
    second = Trainer(run_config(), tiny_dataset)
    second.restore(state)
    found = last_state(all_events(second))
    assert found.model.keys() == whole.model.keys()
    assert all(torch.equal(value, found.model[name]) for name, value in whole.model.items())
    assert all(torch.equal(value, found.optimiser[name]) for name, value in whole.optimiser.items())


def test_a_snapshot_of_either_stage_is_looked_at_as_it_is(tiny_dataset: ImageDataset) -> None:
    trainer, explorer = Trainer(run_config(), tiny_dataset), Explorer()
    explorer.adopt(trainer.snapshot())
    assert not explorer.network.has_learned_prior
    list(trainer.run(Control()))
    explorer.adopt(trainer.snapshot())
    assert explorer.network.has_learned_prior
    later = Explorer()
    later.adopt(trainer.snapshot())
    pictures, points = later.sample(5, seed=3)
    assert pictures.shape == (5, 8, 8)
    assert points is None
    assert (pictures == explorer.sample(9, seed=3)[0][:5]).all()
