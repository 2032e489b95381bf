"""Observation models: from what a decoder puts out to the likelihood p(x|z) that the protocol asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_explorer.errors import SettingError, quoted
from vae_explorer.models.continuous_bernoulli import ContinuousBernoulliPixels
from vae_explorer.models.discretised_logistic import DiscretisedLogisticPixels
from vae_explorer.models.gaussian_pixels import gaussian_pixels
from vae_explorer.models.likelihoods import Bernoulli
from vae_explorer.models.observation_base import ObservationModel, log_odds
from vae_explorer.models.observation_config import ObservationConfig

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.models.data_space import DataSpace


class BernoulliPixels(ObservationModel):
    """One logit a pixel, for protocols whose pixels are bits, and for grey levels as a score."""

    def forward(self, raw_BCHW: Tensor) -> Bernoulli:
        """Independent Bernoulli pixels."""
        return Bernoulli(raw_BCHW)

    def first_bias(self, mean_CHW: Tensor) -> Tensor:
        """The log odds of the mean image."""
        return log_odds(mean_CHW)


def observation_model(data_space: DataSpace, config: ObservationConfig | None = None) -> ObservationModel:
    """The observation model of the data's protocol, under the default settings where none are given.

    Raises SettingError for a protocol without one, and for points of the plane under another than `gaussian`.
    """
    if data_space.is_plane and data_space.protocol != "gaussian":
        raise SettingError(
            "data.protocol",
            f"Points of the plane are no pixels, and '{data_space.protocol}' scores pixels.",
            "Choose the protocol gaussian.",
        )
    settings = config or ObservationConfig()
    match data_space.protocol:
        case "grey" | "dynamic" | "static" | "threshold":
            return BernoulliPixels()
        case "continuous-bernoulli":
            return ContinuousBernoulliPixels()
        case "discrete":
            return DiscretisedLogisticPixels(settings.logistic_components)
        case "gaussian":
            return gaussian_pixels(data_space, settings)
        case other:
            raise SettingError(
                "data.protocol", f"No likelihood belongs to the protocol {quoted(other)}.", "Choose another protocol."
            )
