"""A codebook: vectors that encoder outputs are rounded to, learned by moving averages or by a loss.

Legend: N vectors (all cells of all grids of a batch), K codes, D code dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SMOOTHING = 1e-5
"""Epsilon of the Laplace smoothing of the counts (van den Oord et al., appendix A.1)."""

DEAD_SHARE = 1e-5
"""A code that takes up less than this share of the moving counts is dead."""

BIRTH_SHARE = 1e-4
"""The share a revived code begins with: not used, it is dead again after ln(10) / (1 - decay) steps, 230 at 0.99."""

_MOST_DISTANCES = 1 << 24


class Codebook(nn.Module):
    """K vectors of D dimensions with the moving counts of their use.

    With `is_averaged`, codes are moving averages of the vectors that chose them (1711.00937, appendix A.1), else they
    are a parameter for a loss. All state is in parameters and buffers. Before the first batch every count is 0, so
    that every code is dead and is born from an output of the encoder like any that dies later.
    """

    counts_K: Tensor
    sums_KD: Tensor

    def __init__(self, num_codes: int, dimensions: int, *, is_averaged: bool, decay: float) -> None:
        super().__init__()
        self.num_codes = num_codes
        self.decay = decay
        self.is_averaged = is_averaged
        codes_KD = torch.randn(num_codes, dimensions) / dimensions**0.5
        self.codes_KD = nn.Parameter(codes_KD, requires_grad=not is_averaged)
        self.register_buffer("counts_K", torch.zeros(num_codes))
        if is_averaged:
            self.register_buffer("sums_KD", torch.zeros(num_codes, dimensions))

    @torch.no_grad()
    def nearest(self, z_ND: Tensor) -> Tensor:
        """The code nearest to each vector, int64 (N,); of two as near the first."""
        codes_KD = self.codes_KD
        half_squares_K = 0.5 * codes_KD.square().sum(1)
        with torch.autocast(z_ND.device.type, enabled=False):
            # An exported graph is for any number of vectors, and so of one part.
            most = max(1, _MOST_DISTANCES // self.num_codes)
            parts = (z_ND,) if torch.compiler.is_compiling() else z_ND.split(most)
            return torch.cat([(half_squares_K - part_ND @ codes_KD.T).argmin(1) for part_ND in parts])

    @torch.no_grad()
    def revive(self, z_ND: Tensor, index_N: Tensor, generator: torch.Generator | None) -> None:
        """Put every dead code on one of these encoder outputs, drawn in proportion to its squared distance to its code.

        Drawn evenly, most would be born among those that are served well already, such as empty background.
        """
        error_N = (z_ND - self.codes_KD[index_N]).square().sum(1)
        # The largest of log(u) / weight are a draw without replacement (Efraimidis & Spirakis 2006).
        chance_N = torch.rand(len(z_ND), generator=generator, device=z_ND.device)
        order_N = (chance_N.log() / error_N.clamp(min=1e-12)).argsort(descending=True)
        is_dead_K = self.counts_K <= DEAD_SHARE * self.counts_K.sum()
        is_dead_K = is_dead_K & torch.isfinite(z_ND).all()
        number_K = (is_dead_K.cumsum(0) - 1).clamp(min=0)  # the first dead code takes the first drawn
        candidates_KD = z_ND[order_N[number_K % len(z_ND)]]
        count = len(z_ND) * min(BIRTH_SHARE, 1 / self.num_codes)
        self.codes_KD.copy_(torch.where(is_dead_K[:, None], candidates_KD, self.codes_KD))
        self.counts_K.copy_(torch.where(is_dead_K, count, self.counts_K))
        if self.is_averaged:
            self.sums_KD.copy_(torch.where(is_dead_K[:, None], candidates_KD * count, self.sums_KD))

    @torch.no_grad()
    def follow(self, z_ND: Tensor, index_N: Tensor) -> None:
        """Take up which codes a batch chose, and where the codes are averages, move them.

        N_k <- g N_k + (1 - g) n_k, m_k <- g m_k + (1 - g) sum of its z, e_k = m_k / N_k with smoothed N_k. A batch
        that is not finite changes nothing.
        """
        # A product with the choices adds in a fixed order on every device; scattered sums on a GPU do not.
        chosen_NK = nn.functional.one_hot(index_N, self.num_codes).to(z_ND.dtype)
        is_good = torch.isfinite(z_ND).all()
        keep = torch.where(is_good, self.decay, 1.0)
        self.counts_K.copy_(keep * self.counts_K + (1 - keep) * chosen_NK.sum(0))
        if not self.is_averaged:
            return
        with torch.autocast(z_ND.device.type, enabled=False):
            sums_KD = chosen_NK.T @ torch.nan_to_num(z_ND, nan=0.0, posinf=0.0, neginf=0.0)
        self.sums_KD.copy_(keep * self.sums_KD + (1 - keep) * sums_KD)
        total = self.counts_K.sum()
        smooth_K = (self.counts_K + SMOOTHING) / (total + self.num_codes * SMOOTHING) * total
        self.codes_KD.copy_(torch.where(is_good, self.sums_KD / smooth_K[:, None], self.codes_KD))


def straight_through(z: Tensor, rounded: Tensor) -> Tensor:
    """The rounded vectors, exactly, with a gradient that passes to the unrounded ones as if nothing were between."""
    return rounded.detach() + (z - z.detach())


def code_counts(grid_BHW: Tensor, num_codes: int) -> Tensor:
    """How often each code stands in the grids, float32 (K,)."""
    index_N = grid_BHW.flatten()
    ones_N = torch.ones(len(index_N), device=grid_BHW.device)
    return torch.zeros(num_codes, device=grid_BHW.device).scatter_add_(0, index_N, ones_N)


def perplexity(counts_K: Tensor) -> Tensor:
    """exp(-sum p_k ln p_k) of counts: how many codes in equal use would be as varied; 1 to K, 0-d.

    Of few counts it is too low: take those of a whole set, not the mean over its batches (MODELS.md 4.11).
    """
    share_K = counts_K / counts_K.sum()
    return torch.exp(-torch.xlogy(share_K, share_K).sum())
