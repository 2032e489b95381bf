"""What holds for every model in the catalogue."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.model_data import data_space_for
from vae_explorer.config import check, from_table, settings_of, to_table
from vae_explorer.models.building import build_model
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.gaussian import DiagonalGaussian
from vae_explorer.models.interface import Batch, LatentModel
from vae_explorer.models.record import ModelRecord
from vae_explorer.models.snapshot import take_snapshot


def small_config(record: ModelRecord):
    config = record.config_type()
    if "hidden_widths" in {item.name for item in settings_of(record.config_type)}:
        config = dataclasses.replace(config, hidden_widths=(16,))
    return config


def build(record: ModelRecord) -> LatentModel:
    torch.manual_seed(0)
    return build_model(record.name, small_config(record), data_space_for(record))


def a_batch(record: ModelRecord, num: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(1)
    data_space = data_space_for(record)
    x_BCHW = torch.rand(num, *data_space.image_shape, generator=generator)
    if data_space.protocol == "threshold":
        x_BCHW = (x_BCHW > 0.5).float()
    return Batch(x_BCHW, torch.arange(num), torch.arange(num) % 3)


@pytest.fixture(params=list(MODELS), ids=lambda record: record.name)
def record(request: pytest.FixtureRequest) -> ModelRecord:
    return request.param


def test_the_record_says_everything(record: ModelRecord) -> None:
    assert record.title
    assert record.summary.endswith(".")
    assert record.reference
    assert record.terms
    assert all(term.unit for term in record.terms)
    assert all(item.help.endswith(".") for item in settings_of(record.config_type))


def test_the_default_configuration_is_valid_and_survives_a_table(record: ModelRecord) -> None:
    config = record.config_type()
    check(config, "model")
    assert from_table(record.config_type, to_table(config), "model", "run.toml") == config


def test_objective_is_finite_and_reports_the_records_terms(record: ModelRecord) -> None:
    model, batch = build(record), a_batch(record)
    objective = model.objective(batch, torch.tensor(1.0), torch.Generator().manual_seed(0))
    assert torch.isfinite(objective.loss)
    assert set(objective.terms) == {term.name for term in record.terms if not term.is_heldout_only}
    if any(term.is_heldout_only for term in record.terms):
        assert objective.codes_BD is not None
        assert objective.standardised is not None
        assert objective.standardised.log_variance.shape == objective.codes_BD.shape
        assert not objective.standardised.log_variance.requires_grad
    if record.has_codes:
        assert objective.codes_BD is not None
        assert objective.codes_BD.shape == (12, model.latent_space.dimensions)
        assert not objective.codes_BD.requires_grad


def test_encode_and_decode_have_the_stated_shapes(record: ModelRecord) -> None:
    model, batch = build(record), a_batch(record)
    condition = model.condition_of(batch.x_BCHW, batch.label_B)
    assert (condition is None) == (record.condition == "")
    posterior = model.encode(batch.x_BCHW, condition)
    assert isinstance(posterior, DiagonalGaussian) == record.has_gaussian_posterior
    decoded = model.decode(posterior.mean, condition)
    assert decoded.mean_BCHW.shape == batch.x_BCHW.shape
    if record.has_likelihood and data_space_for(record).protocol != "gaussian":
        assert decoded.mean_BCHW.min() >= 0
        assert decoded.mean_BCHW.max() <= 1
    if record.has_likelihood:
        assert decoded.log_prob(batch.x_BCHW).shape == (12,)
    if record.has_density:
        assert model.log_density(batch.x_BCHW).shape == (12,)
        assert model.log_density(batch.x_BCHW).dtype == torch.float64
    else:
        with pytest.raises(TypeError, match="no closed form"):
            model.log_density(batch.x_BCHW)
    if record.has_prior:
        told = None if condition is None else condition[:5]
        z = model.sample_prior(5, torch.Generator().manual_seed(0), told)
        assert model.log_prior(z, told).shape == (5,)
    else:
        with pytest.raises(TypeError, match="no prior"):
            model.sample_prior(5, None)


def test_a_few_steps_lower_the_loss(record: ModelRecord) -> None:
    model, batch = build(record), a_batch(record)
    if record.is_fitted:
        before = model.objective(batch, torch.tensor(1.0), None).loss
        with torch.no_grad():
            model.learn(batch)
            model.end_epoch()
        assert model.objective(batch, torch.tensor(1.0), None).loss < before
        assert not any(parameter.requires_grad for parameter in model.parameters())
        return
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        objective = model.objective(batch, torch.tensor(1.0), torch.Generator().manual_seed(0))
        optimiser.zero_grad()
        objective.loss.backward()
        optimiser.step()
        losses.append(objective.loss.item())
    assert losses[-1] < losses[0]


def test_a_snapshot_is_a_copy_that_rebuilds_the_same_outputs(record: ModelRecord) -> None:
    model, batch = build(record), a_batch(record)
    snapshot = take_snapshot(
        model, None, run_name="r", model_name=record.name, model_config=small_config(record),
        data_space=data_space_for(record), step=1, images_seen=12, beta=1.0,
    )  # fmt: skip
    condition = model.condition_of(batch.x_BCHW, batch.label_B)
    with torch.no_grad():
        before = model.decode(model.encode(batch.x_BCHW, condition).mean, condition).mean_BCHW
        for parameter in model.parameters():
            parameter.add_(1.0)
    other = build_model(record.name, snapshot.model_config, snapshot.data_space)
    other.load_state_dict(dict(snapshot.weights))
    with torch.no_grad():
        after = other.decode(other.encode(batch.x_BCHW, condition).mean, condition).mean_BCHW
    assert torch.equal(before, after)


def test_a_snapshots_codes_are_copies_that_are_finite_or_unknown_as_a_whole() -> None:
    codes_ND = torch.tensor([[1.0, 2.0], [1.0, float("nan")], [float("inf"), 2.0]])
    model = build(MODELS["vae"])
    snapshot = take_snapshot(
        model, codes_ND, run_name="r", model_name="vae", model_config=None, data_space=data_space_for(MODELS["vae"]),
        step=1, images_seen=12, beta=1.0,
    )  # fmt: skip
    assert snapshot.codes_ND is not None
    assert snapshot.codes_ND[0].tolist() == [1.0, 2.0]
    assert torch.isnan(snapshot.codes_ND[1:]).all()
    codes_ND.fill_(7)
    assert snapshot.codes_ND[0, 0] == 1.0
