"""Linear discriminant analysis (Fisher 1936; Rao 1948) from one pass over the data.

With S_w the scatter within classes and S_b that between them, both divided by the number of items, the discriminants
solve

    S_b a = l S_w a,   A' S_w A = I

in the coordinates whitened by the pseudo-inverse of S_w, which leaves out directions in which nothing varies (pixels
that are never on). It is no generative model: a place y is shown as the regression of pictures on discriminants under
the Gaussian that all classes share,

    E[x | y] = m + S_w A (A' S_w A)^-1 y = m + S_w A y.

Pictures are classified by the largest log N(x; m_k, S_w) + log pi_k, which uses every direction, not the few shown.

Legend: B batch, P numbers an item, K classes, D discriminants, R directions in which the classes vary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vae_explorer.errors import SettingError
from vae_explorer.models.deterministic import Picture, PointCode
from vae_explorer.models.interface import Batch, Latents, Objective
from vae_explorer.models.scatter import ScatterModel, coordinate_axes, require_scatter, with_fixed_signs

if TYPE_CHECKING:
    from vae_explorer.models.data_space import DataSpace
    from vae_explorer.models.lda_config import LDAConfig

RELATIVE_CUTOFF = 1e-6
"""Directions whose variance within classes is below this share of the largest are left out: those of dead pixels."""


class LinearDiscriminantAnalysis(ScatterModel):
    """Discriminants, the regression onto them, and the linear classifier."""

    class_items_K: Tensor
    class_sum_KP: Tensor

    def __init__(self, latent_dimensions: int, data_space: DataSpace) -> None:
        super().__init__(latent_dimensions, data_space)
        numbers, classes = data_space.num_pixels, data_space.num_classes
        self.register_buffer("class_items_K", torch.zeros(classes, dtype=torch.float64))
        self.register_buffer("class_sum_KP", torch.zeros(classes, numbers, dtype=torch.float64))
        axes_DP = coordinate_axes(latent_dimensions, numbers)
        self.axes_DP = nn.Parameter(axes_DP, requires_grad=False)
        self.patterns_DP = nn.Parameter(axes_DP.clone(), requires_grad=False)
        self.class_weight_KP = nn.Parameter(torch.zeros(classes, numbers), requires_grad=False)
        self.class_bias_K = nn.Parameter(torch.zeros(classes), requires_grad=False)

    def take_up(self, batch: Batch) -> bool:
        """Also the number and the sum of each class."""
        assert batch.label_B is not None
        self.class_items_K += torch.bincount(batch.label_B, minlength=len(self.class_items_K))
        self.class_sum_KP.index_add_(0, batch.label_B, batch.x_BCHW.flatten(1).double())
        return super().take_up(batch)

    @torch.no_grad()
    def solve(self) -> None:
        """Discriminants, regression and classifier of what has been taken up."""
        mean_P = self.scatter.mean_P
        share_K = self.class_items_K / self.scatter.num_items
        is_there_K = share_K > 0
        class_mean_KP = self.class_sum_KP / self.class_items_K.clamp(min=1.0)[:, None]
        offset_KP = torch.where(is_there_K[:, None], class_mean_KP - mean_P, 0.0)
        between_PP = offset_KP.T @ (share_K[:, None] * offset_KP)
        within_PP = self.scatter.covariance_PP - between_PP
        variance_P, vectors_PP = torch.linalg.eigh(within_PP)
        varies_P = variance_P > RELATIVE_CUTOFF * variance_P[-1].clamp(min=torch.finfo(torch.float64).tiny)
        whitening_PR = vectors_PP[:, varies_P] / variance_P[varies_P].sqrt()
        self._place_axes(within_PP, whitening_PR, offset_KP, share_K)
        # The classes' Gaussians differ in their means alone, so the log odds are linear in x.
        weight_KP = offset_KP @ whitening_PR @ whitening_PR.T
        bias_K = -0.5 * (weight_KP * offset_KP).sum(-1) + share_K.log()
        self.class_weight_KP.copy_(weight_KP)
        # A class of which nothing was seen yet is never chosen; minus infinity would be no weight to save.
        self.class_bias_K.copy_(torch.where(is_there_K, bias_K, torch.finfo(torch.float32).min))
        self.mean_P.copy_(mean_P)

    def _place_axes(self, within_PP: Tensor, whitening_PR: Tensor, offset_KP: Tensor, share_K: Tensor) -> None:
        """The discriminants by falling separation; rows of zeros where the classes seen so far span fewer."""
        whitened_KR = share_K.sqrt()[:, None] * (offset_KP @ whitening_PR)
        _, separation, vectors = torch.linalg.svd(whitened_KR, full_matrices=False)
        num = min(len(self.axes_DP), len(separation))
        axes_DP = torch.zeros_like(self.axes_DP, dtype=torch.float64)
        axes_DP[:num] = with_fixed_signs(vectors[:num] @ whitening_PR.T)
        self.axes_DP.copy_(axes_DP)
        self.patterns_DP.copy_(axes_DP @ within_PP)

    def encode(self, x_BCHW: Tensor, condition: Tensor | None = None) -> PointCode:
        """A'(x - m), (B, D): within a class, each has variance 1."""
        return PointCode((x_BCHW.flatten(1) - self.mean_P) @ self.axes_DP.T)

    def decode(self, z: Latents, condition: Tensor | None = None) -> Picture:
        """E[x | y], affine in y; may leave [0, 1]."""
        assert isinstance(z, Tensor)
        return Picture((self.mean_P + z @ self.patterns_DP).unflatten(-1, self.image_shape))

    def class_log_odds(self, x_BCHW: Tensor) -> Tensor:
        """log p(k|x) up to a constant of x, (B, K)."""
        return (x_BCHW.flatten(1) - self.mean_P) @ self.class_weight_KP.T + self.class_bias_K

    def classify(self, x_BCHW: Tensor) -> Tensor:
        """The most probable class of each picture, (B,) int64."""
        return self.class_log_odds(x_BCHW).argmax(-1)

    def objective(self, batch: Batch, beta: Tensor, generator: torch.Generator | None) -> Objective:
        """How many are classified rightly, and the squared error of the regression, under the weights as they are."""
        assert batch.label_B is not None
        y_BD = (batch.x_BCHW.flatten(1) - self.mean_P) @ self.axes_DP.T
        error = (batch.x_BCHW - self.decode(y_BD).mean_BCHW).square().flatten(1).sum(-1).mean()
        accuracy = (self.classify(batch.x_BCHW) == batch.label_B).float().mean()
        return Objective(
            loss=error, terms={"accuracy": accuracy, "squared_error": error.detach()}, codes_BD=y_BD.detach()
        )


def build_lda(config: LDAConfig, data_space: DataSpace) -> LinearDiscriminantAnalysis:
    """The builder of the record `lda`. Raises SettingError for more discriminants than the classes span."""
    require_scatter(data_space, "LDA")
    most = min(data_space.num_classes - 1, data_space.num_pixels)
    if config.latent_dimensions > most:
        raise SettingError(
            "model.latent_dimensions",
            f"{data_space.num_classes} classes have no {config.latent_dimensions} discriminants.",
            f"Choose at most {most}.",
        )
    return LinearDiscriminantAnalysis(config.latent_dimensions, data_space)
