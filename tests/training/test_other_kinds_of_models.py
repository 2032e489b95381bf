"""The interfaces carry what later models need: these small ones train through the same loop, unchanged.

A deterministic autoencoder without likelihood or prior, a model conditioned on labels, discrete codes, two levels, a
sequence.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_explorer.config import setting
from vae_explorer.datasets.image_dataset import ImageDataset
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.gaussian import DiagonalGaussian, standard_normal_log_prob
from vae_explorer.models.interface import Batch, LatentModel, Latents, LatentSpace, Objective
from vae_explorer.models.likelihoods import Bernoulli
from vae_explorer.models.record import BOUND_TERMS, ModelRecord, Term
from vae_explorer.training.control import Control
from vae_explorer.training.events import Finished, MetricsChunk, SnapshotTaken
from vae_explorer.training.run_config import RunConfig, default_config, sections, with_value
from vae_explorer.training.trainer import Trainer

PIXELS = 64


@dataclass(frozen=True, kw_only=True)
class SmallConfig:
    width: int = setting(8, label="Width", minimum=1, maximum=64, help="Units of the hidden layer.")


@dataclass(frozen=True)
class Picture:
    mean_BCHW: Tensor


@dataclass(frozen=True)
class Point:
    """A deterministic code where others have a posterior."""

    mean: Latents

    def sample(self, generator: torch.Generator | None) -> Latents:
        return self.mean

    def log_prob(self, z: object, /) -> Tensor:
        raise TypeError("a deterministic code has no density")

    def kl(self) -> Tensor:
        raise TypeError("a deterministic code has no density")


def bound_terms(reconstruction: Tensor, kl: Tensor) -> dict[str, Tensor]:
    return {"elbo": -(reconstruction + kl).detach(), "reconstruction": reconstruction.detach(), "kl": kl.detach()}


class Autoencoder(LatentModel):
    latent_space = LatentSpace("euclidean", (2,))

    def __init__(self, _config: SmallConfig, _data_space: DataSpace) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(PIXELS, 2), nn.Linear(2, PIXELS)

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> Point:
        return Point(self.down(x_BCHW.flatten(1)))

    def decode(self, z: Latents, condition: Tensor | None = None) -> Picture:
        assert isinstance(z, Tensor)
        return Picture(torch.sigmoid(self.up(z)).unflatten(-1, (1, 8, 8)))

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        codes_BD = self.encode(batch.x_BCHW).mean
        assert isinstance(codes_BD, Tensor)
        error = (self.decode(codes_BD).mean_BCHW - batch.x_BCHW).square().flatten(1).sum(-1).mean()
        return Objective(loss=error, terms={"squared_error": error.detach()}, codes_BD=codes_BD.detach())


class Conditional(LatentModel):
    latent_space = LatentSpace("euclidean", (2,))

    def __init__(self, _config: SmallConfig, data_space: DataSpace) -> None:
        super().__init__()
        self.num_classes = num_classes = data_space.num_classes
        self.down, self.up = nn.Linear(PIXELS + num_classes, 4), nn.Linear(2 + num_classes, PIXELS)

    def condition_of(self, x_BCHW: Tensor, label_B: Tensor | None) -> Tensor | None:
        return label_B

    def _with_label(self, x_BP: Tensor, condition: Tensor | None) -> Tensor:
        assert condition is not None
        return torch.cat([x_BP, functional.one_hot(condition, self.num_classes).float()], -1)

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> DiagonalGaussian:
        return DiagonalGaussian(*self.down(self._with_label(x_BCHW.flatten(1), condition)).chunk(2, -1))

    def decode(self, z: Latents, condition: Tensor | None = None) -> Bernoulli:
        assert isinstance(z, Tensor)
        return Bernoulli(self.up(self._with_label(z, condition)).unflatten(-1, (1, 8, 8)))

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        posterior = self.encode(batch.x_BCHW, batch.label_B)
        decoded = self.decode(posterior.sample(generator), batch.label_B)
        reconstruction, kl = -decoded.log_prob(batch.x_BCHW).mean(), posterior.kl().mean()
        return Objective(
            loss=reconstruction + beta * kl,
            terms=bound_terms(reconstruction, kl),
            kl_D=posterior.kl_per_dimension().mean(0).detach(),
            codes_BD=posterior.mean.detach(),
        )


class Quantised(LatentModel):
    latent_space = LatentSpace("codes", (2, 2), num_codes=5)

    def __init__(self, _config: SmallConfig, _data_space: DataSpace) -> None:
        super().__init__()
        self.down, self.codebook, self.up = nn.Linear(PIXELS, 12), nn.Embedding(5, 3), nn.Linear(12, PIXELS)

    def _continuous(self, x_BCHW: Tensor) -> Tensor:
        return self.down(x_BCHW.flatten(1)).unflatten(-1, (4, 3))

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> Point:
        return Point(torch.cdist(self._continuous(x_BCHW), self.codebook.weight).argmin(-1).unflatten(-1, (2, 2)))

    def decode(self, z: Latents, condition: Tensor | None = None) -> Bernoulli:
        assert isinstance(z, Tensor)
        return Bernoulli(self.up(self.codebook(z).flatten(1)).unflatten(-1, (1, 8, 8)))

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        continuous = self._continuous(batch.x_BCHW)
        codes = self.encode(batch.x_BCHW).mean
        assert isinstance(codes, Tensor)
        chosen = self.codebook(codes.flatten(1))
        straight_through = continuous + (chosen - continuous).detach()
        logits = self.up(straight_through.flatten(1)).unflatten(-1, (1, 8, 8))
        reconstruction = -Bernoulli(logits).log_prob(batch.x_BCHW).mean()
        quantisation = (chosen - continuous.detach()).square().sum((1, 2)).mean()
        commitment = (chosen.detach() - continuous).square().sum((1, 2)).mean()
        terms = {"reconstruction": reconstruction.detach(), "quantisation": quantisation.detach()}
        return Objective(loss=reconstruction + quantisation + 0.25 * commitment, terms=terms)


class TwoLevels(LatentModel):
    latent_space = LatentSpace("hierarchy", levels=(LatentSpace("euclidean", (2,)), LatentSpace("euclidean", (3,))))

    def __init__(self, _config: SmallConfig, _data_space: DataSpace) -> None:
        super().__init__()
        self.down = nn.Linear(PIXELS, 10)
        self.between, self.up = nn.Linear(2, 3), nn.Linear(3, PIXELS)

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> Point:
        top, below = self.down(x_BCHW.flatten(1)).split((4, 6), -1)
        return Point((top[:, :2], below[:, :3]))

    def decode(self, z: Latents, condition: Tensor | None = None) -> Bernoulli:
        assert isinstance(z, tuple)
        return Bernoulli(self.up(z[1]).unflatten(-1, (1, 8, 8)))

    def log_prior(self, z: Latents, condition: Tensor | None = None) -> Tensor:
        top, below = z
        return standard_normal_log_prob(top) + standard_normal_log_prob(below - self.between(top))

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        parts = self.down(batch.x_BCHW.flatten(1)).split((4, 6), -1)
        top, below = (DiagonalGaussian(*part.chunk(2, -1)) for part in parts)
        z = (top.sample(generator), below.sample(generator))
        reconstruction = -self.decode(z).log_prob(batch.x_BCHW).mean()
        kl = (top.log_prob(z[0]) + below.log_prob(z[1]) - self.log_prior(z)).mean()
        return Objective(loss=reconstruction + beta * kl, terms=bound_terms(reconstruction, kl))


class Sequence(LatentModel):
    """Each row of the picture is a time step with a latent of its own."""

    latent_space = LatentSpace("sequence", (8, 2))

    def __init__(self, _config: SmallConfig, _data_space: DataSpace) -> None:
        super().__init__()
        self.belief, self.posterior, self.up = nn.GRU(8, 6, batch_first=True), nn.Linear(6, 4), nn.Linear(2, 8)

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> DiagonalGaussian:
        return DiagonalGaussian(*self.posterior(self.belief(x_BCHW.squeeze(1))[0]).chunk(2, -1))

    def decode(self, z: Latents, condition: Tensor | None = None) -> Bernoulli:
        assert isinstance(z, Tensor)
        return Bernoulli(self.up(z).unsqueeze(1))

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        posterior = self.encode(batch.x_BCHW)
        reconstruction = -self.decode(posterior.sample(generator)).log_prob(batch.x_BCHW).mean()
        kl = posterior.kl_per_dimension().sum((1, 2)).mean()
        return Objective(loss=reconstruction + beta * kl, terms=bound_terms(reconstruction, kl))


def record_of(name: str, build: type[LatentModel], terms: tuple[Term, ...], **abilities: bool) -> ModelRecord:
    return ModelRecord(
        name=name, title=name.title(), summary="A small one.", reference="this file", config_type=SmallConfig,
        terms=terms, builder=f"{__name__}:{build.__name__}", map_note="Nothing.", **abilities,
    )  # fmt: skip


SQUARED = (Term("squared_error", "Squared error", "per image", "lower", "‖x − f(g(x))‖²"),)
CODED = (BOUND_TERMS[1], Term("quantisation", "Quantisation", "per image", "lower", "‖z − e‖²"))
OTHERS = [
    record_of("autoencoder", Autoencoder, SQUARED, has_likelihood=False, has_prior=False, has_codes=True),
    record_of("conditional", Conditional, BOUND_TERMS, has_likelihood=True, has_prior=True, has_codes=True),
    record_of("quantised", Quantised, CODED, has_likelihood=True, has_prior=False, has_codes=False),
    record_of("two-levels", TwoLevels, BOUND_TERMS, has_likelihood=True, has_prior=True, has_codes=False),
    record_of("sequence", Sequence, BOUND_TERMS, has_likelihood=True, has_prior=True, has_codes=False),
]


@pytest.mark.parametrize("record", OTHERS, ids=lambda record: record.name)
def test_it_trains_reports_its_own_terms_and_is_looked_at(
    record: ModelRecord, tiny_config: RunConfig, tiny_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS._records, record.name, record)
    config = with_value(with_value(tiny_config, "model.name", record.name), "training.epochs", 10)
    control = Control()
    control.want_snapshot()
    trainer = Trainer(config, tiny_dataset)
    assert (trainer.encoded_snapshot().codes_ND is not None) == record.has_codes
    found = list(trainer.run(control))
    finished = found[-1]
    assert isinstance(finished, Finished)
    assert finished.reason == "completed"
    assert set(finished.validation) == {term.name for term in record.terms}
    chunks = [event for event in found if isinstance(event, MetricsChunk)]
    assert chunks[0].columns[: len(record.terms)] == tuple(term.name for term in record.terms)
    loss = "squared_error" if record.name == "autoencoder" else "reconstruction"
    column = chunks[0].columns.index(loss)
    assert chunks[-1].values[-1, column] < chunks[0].values[0, column]
    looked = next(event for event in found if isinstance(event, SnapshotTaken)).snapshot
    assert (looked.codes_ND is not None) == record.has_codes
    assert finished.state is not None
    other = Trainer(config, tiny_dataset)
    other.restore(finished.state)
    assert all(torch.equal(a, b) for a, b in zip(trainer.model.parameters(), other.model.parameters(), strict=True))


def test_the_forms_model_section_follows_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS._records, OTHERS[0].name, OTHERS[0])
    config = with_value(default_config(), "model.name", "autoencoder")
    model = next(section for section in sections(config) if section.name == "model")
    assert [item.name for item in model.settings] == ["name", "width"]
    assert "autoencoder" in model.settings[0].choices
