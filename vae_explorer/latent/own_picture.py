"""A person's own picture through the model: fitted to the data, encoded, its bound and its reconstruction.

A generator for an exploring thread: it rests after every few milliseconds of work and ends with an `OwnPicture`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.datasets.picture_fitting import FittedPicture, Invert, TypicalPicture, fit_picture, typical_of
from vae_explorer.datasets.protocols import apply_protocol, fixed_draw
from vae_explorer.errors import UserError
from vae_explorer.latent.explorer import DISPLAY_SEED, as_pictures

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.models.gaussian import DiagonalGaussian
    from vae_explorer.models.interface import LatentModel

UInt8 = NDArray[np.uint8]

NUM_DRAWS = 128
"""Draws from q behind the reconstruction term."""

_DRAWS_AT_ONCE = 32
_SAMPLE_PIXELS = 250_000
_MOST_SAMPLED = 256
_NUMBERS_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """The bound on one picture, in nats: -ELBO = `reconstruction` + `kl`. The first term is a mean of 128 draws."""

    reconstruction: float
    standard_error: float
    kl: float

    @property
    def negative_elbo(self) -> float:
        """-ELBO in nats, the sum of both."""
        return self.reconstruction + self.kl


@dataclass(frozen=True, slots=True, eq=False)
class OwnPicture:
    """One look at a person's picture.

    `pixels` are those put in, `fitted` what became of them, `x_CHW` what the network sees, in [0, 1] under the run's
    protocol. `seen` and `reconstruction` are uint8 pictures, (H, W) or (H, W, C); `bound` is None for a model without
    likelihood or prior. `nearest` is the distance to the nearest code of the data, root mean square over dimensions in
    units of this posterior's sigma; None without codes. `step` is that of the weights.
    """

    pixels: UInt8
    fitted: FittedPicture
    typical: TypicalPicture | None
    x_CHW: NDArray[np.float32]
    seen: UInt8
    reconstruction: UInt8
    mean_D: NDArray[np.float64]
    sigma_D: NDArray[np.float64]
    bound: Bound | None
    nearest: float | None
    step: int
    protocol: str


def look_at(explorer: Explorer, pixels: UInt8, invert: Invert, least_share: float) -> Iterator[OwnPicture | None]:
    """Fit uint8 `pixels` (`picture_fitting.fit_picture`) to the adopted model's pictures and look at it through it.

    Raises UserError where the model has no Gaussian posterior or gives none that is finite.
    """
    snapshot = explorer.snapshot
    if snapshot is None:
        raise UserError("There is no model to look at yet.", "Wait until the model has been prepared.")
    if snapshot.data_space.is_plane:
        raise UserError(
            "This model was trained on points of the plane, so no picture can be put on its map.",
            "Train on a data set of pictures.",
        )
    typical = _typical(explorer, snapshot.image_shape)
    yield None
    fitted = fit_picture(pixels, snapshot.image_shape, typical, invert, least_share)
    yield None
    with torch.inference_mode():
        images_1CHW = torch.from_numpy(fitted.pixels)[None].to(explorer.device)
        x_1CHW = apply_protocol(snapshot.protocol, images_1CHW, fixed_draw(images_1CHW, DISPLAY_SEED))
        posterior = explorer.posterior(x_1CHW)
        mean_D = posterior.mean[0].double().cpu().numpy()
        sigma_D = posterior.standard_deviation[0].double().cpu().numpy()
        if not (np.isfinite(mean_D).all() and np.isfinite(sigma_D).all()):
            raise UserError(
                "The network gives no finite code for this picture.", "Lower the learning rate, train again."
            )
        network = explorer.network_for(x_1CHW)
        decoded = as_pictures(network.decode(posterior.mean).mean_BCHW)[0]
    yield None
    bound = None
    if explorer.record.has_likelihood and explorer.record.has_prior:
        bound = yield from _bound(network, x_1CHW, posterior)
    nearest = yield from _nearest(explorer, mean_D, sigma_D)
    x_CHW = x_1CHW[0].float().cpu().numpy()
    seen = as_pictures(x_1CHW)[0]
    yield OwnPicture(
        pixels, fitted, typical, x_CHW, seen, decoded, mean_D, sigma_D, bound, nearest, snapshot.step, snapshot.protocol
    )


def _typical(explorer: Explorer, image_shape: tuple[int, int, int]) -> TypicalPicture | None:
    dataset = explorer.dataset
    if dataset is None or dataset.image_shape != image_shape:
        return None
    if "typical picture" not in explorer.lasting:
        index_N = dataset.train_index_N
        num = min(max(_SAMPLE_PIXELS // int(np.prod(image_shape)), 16), _MOST_SAMPLED, len(index_N))
        chosen_N = torch.linspace(0, len(index_N) - 1, num, device=index_N.device).long()
        images_NCHW = dataset.images.gather(index_N[chosen_N]).cpu().numpy()
        explorer.lasting["typical picture"] = typical_of(images_NCHW)
    typical: TypicalPicture | None = explorer.lasting["typical picture"]
    return typical


def _bound(network: LatentModel, x_1CHW: Tensor, posterior: DiagonalGaussian) -> Any:
    # The same draws at every look, so that the number moves with the picture and not by itself.
    generator = torch.Generator().manual_seed(DISPLAY_SEED)
    terms: list[Tensor] = []
    for _ in range(NUM_DRAWS // _DRAWS_AT_ONCE):
        with torch.inference_mode():
            noise_SD = torch.randn((_DRAWS_AT_ONCE, posterior.mean.shape[1]), generator=generator)
            z_SD = posterior.mean + posterior.standard_deviation * noise_SD.to(posterior.mean)
            likelihood: Any = network.decode(z_SD)
            terms.append(-likelihood.log_prob(x_1CHW.expand(_DRAWS_AT_ONCE, -1, -1, -1)).double().cpu())
        yield None
    term_S = torch.cat(terms)
    with torch.inference_mode():
        kl = float(posterior.kl()[0])
    return Bound(float(term_S.mean()), float(term_S.std()) / NUM_DRAWS**0.5, kl)


def _nearest(explorer: Explorer, mean_D: NDArray[np.float64], sigma_D: NDArray[np.float64]) -> Any:
    codes_ND = explorer.codes()
    if codes_ND is None or not len(codes_ND) or codes_ND.shape[1] != len(mean_D):
        return None
    smallest = np.inf
    rows = max(_NUMBERS_AT_ONCE // len(mean_D), 1)
    for start in range(0, len(codes_ND), rows):
        away_ND = (codes_ND[start : start + rows] - mean_D) / sigma_D
        squared_N = np.square(away_ND).mean(1)
        finite_N = squared_N[np.isfinite(squared_N)]
        smallest = min(smallest, float(finite_N.min(initial=np.inf)))
        yield None
    return float(np.sqrt(smallest)) if np.isfinite(smallest) else None
