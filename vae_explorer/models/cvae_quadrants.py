"""The conditional VAE for structured output (Sohn, Lee & Yan 2015, section 4): x is the given part of a picture, y the
rest.

    L(y|x) = E_q[log p(y|x,z)] - KL(q(z|x,y) || p(z|x)) <= log p(y|x)

A baseline network predicts y from x alone. What it predicts, laid beside what is given, is the picture c that the
prior network p(z|x) and the generation network see. The generation network adds to the baseline's raw outputs and
starts at nothing added, so that learning begins with the baseline's own score.

Legend: B batch, C channels, H height, W width, D latent dimensions, R pixels of the rest, O numbers a pixel that the
observation model takes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from vae_explorer.errors import SettingError
from vae_explorer.models.gaussian import DiagonalGaussian, bounded_log_variance
from vae_explorer.models.interface import Batch, LatentModel, Latents, LatentSpace, Likelihood, Objective
from vae_explorer.models.likelihoods import pairwise_log_prob
from vae_explorer.models.networks import PreciseLinear, full_precision, multilayer_perceptron
from vae_explorer.models.observation import observation_model
from vae_explorer.models.vae import bound_terms

if TYPE_CHECKING:
    from vae_explorer.models.cvae_quadrants_config import CVAEQuadrantsConfig
    from vae_explorer.models.data_space import DataSpace


@dataclass(frozen=True)
class Completed:
    """p(y|x,z): the given part as it is, and beside it the likelihood of the rest, alone scored.

    `rest` is that of pictures (B, C, 1, R), whose pixels are those of `rest_R` in the rows of (H, W).
    """

    given_BCHW: Tensor
    rest: Likelihood
    rest_R: Tensor

    @property
    def mean_BCHW(self) -> Tensor:
        """The given part with the mean of the rest."""
        return self._with(self.rest.mean_BCHW)

    def log_prob(self, x_BCHW: Tensor) -> Tensor:
        """log p(y|x,z), (B,), in nats: of the pixels that are not given."""
        return self.rest.log_prob(self._rest_of(x_BCHW))

    def sample(self, generator: torch.Generator | None) -> Tensor:
        """The given part with a draw of the rest."""
        return self._with(self.rest.sample(generator))

    def log_prob_pairs(self, x_BCHW: Tensor) -> Tensor:
        """log p(y_b|x,z_g) of every image under every decoded point, (B, G) float64, in nats."""
        return pairwise_log_prob(self.rest, self._rest_of(x_BCHW))

    def _rest_of(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW.flatten(2).index_select(2, self.rest_R).unsqueeze(2)

    def _with(self, y_BC1R: Tensor) -> Tensor:
        return completed(self.given_BCHW, y_BC1R, self.rest_R)


def completed(given_BCHW: Tensor, y_BC1R: Tensor, rest_R: Tensor) -> Tensor:
    """The picture (B, C, H, W) of a given part and the rest."""
    return given_BCHW.flatten(2).index_copy(2, rest_R, y_BC1R.squeeze(2).to(given_BCHW.dtype)).view_as(given_BCHW)


def is_given(given_quadrants: int, height: int, width: int) -> list[list[bool]]:
    """Which pixels are given, (H, W): the lower left quadrant, the left half, or all but the lower right one.

    As in Sohn, Lee & Yan 2015, section 5.1; in pictures of odd sides the right and the lower quadrants are larger.
    """
    order = {(True, True): 1, (False, True): 2, (False, False): 3, (True, False): 4}  # (is lower, is left)
    return [
        [order[row >= height // 2, column < width // 2] <= given_quadrants for column in range(width)]
        for row in range(height)
    ]


class QuadrantsCVAE(LatentModel):
    """Baseline, prior, recognition and generation network; the baseline learns first (`end_epoch`).

    Its condition is the given part, (B, C, H, W) with zeros in the rest. Raises TypeError where that is missing.
    """

    rest_R: Tensor
    is_given_HW: Tensor
    epochs_done: Tensor

    def __init__(self, config: CVAEQuadrantsConfig, data_space: DataSpace) -> None:
        super().__init__()
        channels, height, width = data_space.image_shape
        if min(height, width) < 2:
            raise SettingError(
                "model.name", f"Pictures of {height} x {width} pixels have no quadrants.", "Choose larger pictures."
            )
        self.config = config
        self.latent_space = LatentSpace("euclidean", (config.latent_dimensions,))
        self.observation = observation_model(data_space, config)
        given = is_given(config.given_quadrants, height, width)
        rest = [number for number, is_known in enumerate(itertools.chain(*given)) if not is_known]
        self.register_buffer("is_given_HW", torch.tensor(given))
        self.register_buffer("rest_R", torch.tensor(rest))
        self.register_buffer("epochs_done", torch.zeros((), dtype=torch.int64))
        self._raw_channels = channels * self.observation.outputs_per_pixel
        pixels, latents = data_space.num_pixels, config.latent_dimensions
        hidden, outwards = config.hidden_widths, tuple(reversed(config.hidden_widths))
        outputs = self._raw_channels * len(rest)
        self.baseline = multilayer_perceptron((pixels, *hidden, outputs), config.activation)
        self.prior = multilayer_perceptron((pixels, *hidden, 2 * latents), config.activation, PreciseLinear)
        self.recognition = multilayer_perceptron((pixels, *hidden, 2 * latents), config.activation, PreciseLinear)
        self.generation = multilayer_perceptron((latents + pixels, *outwards, outputs), config.activation)
        last = cast("nn.Linear", self.generation[-1])
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self._is_in_first_stage = True

    def condition_of(self, x_BCHW: Tensor, label_B: Tensor | None) -> Tensor:
        """The given part of these pictures, zero elsewhere."""
        return torch.where(self.is_given_HW, x_BCHW, torch.zeros((), device=x_BCHW.device))

    def predict(self, condition: Tensor | None) -> Completed:
        """p(y|x) of the baseline, without latents."""
        given_BCHW = _told(condition)
        return self._completed(given_BCHW, self._baseline_raw(given_BCHW))

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> DiagonalGaussian:
        """q(z|x,y), whose KL is that to p(z|x)."""
        given_BCHW = _told(condition)
        return self._recognise(x_BCHW, self._seen(given_BCHW, self._baseline_raw(given_BCHW)))

    def decode(self, z: Latents, condition: Tensor | None = None) -> Completed:
        """p(y|x,z) beside the given x."""
        assert isinstance(z, Tensor)
        given_BCHW = _told(condition)
        raw = self._baseline_raw(given_BCHW)
        return self._generate(z, given_BCHW, self._seen(given_BCHW, raw), raw)

    def log_prior(self, z: Latents, condition: Tensor | None = None) -> Tensor:
        """log p(z|x), (B,)."""
        assert isinstance(z, Tensor)
        return self.prior_of(condition).log_prob(z)

    def sample_prior(self, num: int, generator: torch.Generator | None, condition: Tensor | None = None) -> Tensor:
        """(num, D) draws from p(z|x) of `num` given parts, on the parameters' device."""
        assert len(_told(condition)) == num, "a given part a draw"
        return self.prior_of(condition).sample(generator)

    def prior_of(self, condition: Tensor | None) -> DiagonalGaussian:
        """p(z|x)."""
        given_BCHW = _told(condition)
        return self._prior(self._seen(given_BCHW, self._baseline_raw(given_BCHW)))

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        """The baseline's score while it learns, then reconstruction + beta * KL of the rest.

        The generation network adds nothing yet while the baseline learns, so that the bound is exactly its score.
        """
        given_BCHW = self.condition_of(batch.x_BCHW, batch.label_B)
        if not self.training:
            self._settle_stage()  # a copy whose weights were written in place, such as their average
        if self._is_in_first_stage:
            raw = self._baseline_raw(given_BCHW)
            predicted = self._completed(given_BCHW, raw)
            self._observe(batch.x_BCHW, predicted)
            reconstruction = -predicted.log_prob(batch.x_BCHW).mean()
            with torch.no_grad():
                codes_BD = self._recognise(batch.x_BCHW, self._seen(given_BCHW, raw)).mean
            terms = bound_terms(reconstruction, torch.zeros_like(reconstruction))
            # Nothing is drawn from the latents yet: as good as the prior itself, whose KL and its parts are 0.
            unused = DiagonalGaussian(torch.zeros_like(codes_BD), torch.zeros_like(codes_BD))
            return Objective(
                reconstruction, {**terms, "baseline": terms["reconstruction"]}, codes_BD=codes_BD, standardised=unused
            )
        with torch.no_grad():
            raw = self._baseline_raw(given_BCHW)
            baseline = -self._completed(given_BCHW, raw).log_prob(batch.x_BCHW).mean()
            seen_BCHW = self._seen(given_BCHW, raw)
        posterior = self._recognise(batch.x_BCHW, seen_BCHW)
        decoded = self._generate(posterior.sample(generator), given_BCHW, seen_BCHW, raw)
        self._observe(batch.x_BCHW, decoded)
        reconstruction = -decoded.log_prob(batch.x_BCHW).mean()
        kl_D = posterior.kl_per_dimension().mean(0)
        terms = {**bound_terms(reconstruction, kl_D.sum()), "baseline": baseline}
        return Objective(
            reconstruction + beta * kl_D.sum(), terms, kl_D.detach(), posterior.mean.detach(), posterior.standardised()
        )

    def end_epoch(self) -> bool:
        """Count; True where the baseline has learnt enough and the others begin."""
        self.epochs_done += 1
        return self._settle_stage()

    def start_from(self, mean_CHW: Tensor) -> None:
        """Let the baseline start at the mean image."""
        bias = cast("nn.Linear", self.baseline[-1]).bias
        with torch.no_grad():
            first = self.observation.first_bias(mean_CHW).flatten(1).index_select(1, self.rest_R.to(mean_CHW.device))
            bias.copy_(first.flatten())

    def load_state_dict(self, *args: object, **kwargs: object) -> object:
        """As of any module; the stage is that of the epochs done."""
        found = super().load_state_dict(*args, **kwargs)  # type: ignore[arg-type]
        self._settle_stage()
        return found

    def _settle_stage(self) -> bool:
        before = self._is_in_first_stage
        self._is_in_first_stage = int(self.epochs_done) < self.config.baseline_epochs
        return before != self._is_in_first_stage

    def _observe(self, x_BCHW: Tensor, decoded: Completed) -> None:
        if self.training:
            self.observation.observe(decoded._rest_of(x_BCHW), decoded.rest)

    def _baseline_raw(self, given_BCHW: Tensor) -> Tensor:
        return full_precision(self.baseline(given_BCHW.flatten(1)))

    def _completed(self, given_BCHW: Tensor, raw_BF: Tensor) -> Completed:
        rest: Likelihood = self.observation(raw_BF.unflatten(1, (self._raw_channels, 1, -1)))
        return Completed(given_BCHW, rest, self.rest_R)

    def _seen(self, given_BCHW: Tensor, raw_BF: Tensor) -> Tensor:
        return self._completed(given_BCHW, raw_BF).mean_BCHW

    def _prior(self, seen_BCHW: Tensor) -> DiagonalGaussian:
        mean_BD, raw_BD = self.prior(seen_BCHW.flatten(1)).chunk(2, dim=-1)
        return DiagonalGaussian(mean_BD, bounded_log_variance(raw_BD))

    def _recognise(self, x_BCHW: Tensor, seen_BCHW: Tensor) -> DiagonalGaussian:
        mean_BD, raw_BD = self.recognition(x_BCHW.flatten(1)).chunk(2, dim=-1)
        return DiagonalGaussian(mean_BD, bounded_log_variance(raw_BD), self._prior(seen_BCHW))

    def _generate(self, z_BD: Tensor, given_BCHW: Tensor, seen_BCHW: Tensor, raw_BF: Tensor) -> Completed:
        added_BF = full_precision(self.generation(torch.cat([z_BD, seen_BCHW.flatten(1)], 1)))
        return self._completed(given_BCHW, raw_BF + added_BF)


def _told(condition: Tensor | None) -> Tensor:
    if condition is None:
        raise TypeError("this model is told a part of every picture, and was told none")
    return condition


def build_cvae_quadrants(config: CVAEQuadrantsConfig, data_space: DataSpace) -> QuadrantsCVAE:
    """The builder of the record `cvae-quadrants`."""
    return QuadrantsCVAE(config, data_space)
