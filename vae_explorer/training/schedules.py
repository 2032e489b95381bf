"""Schedules of the learning rate and of beta, as factors of the value asked for."""

from __future__ import annotations

import math


def learning_rate_factor(schedule: str, images_seen: int, total_images: int) -> float:
    """The factor in [0, 1] after `images_seen` of `total_images`; `schedule` is `constant` or `cosine`."""
    if schedule == "constant":
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, images_seen / total_images)))


def beta_factor(images_seen: int, total_images: int, warmup_images: int, cycles: int) -> float:
    """The factor of beta in [0, 1]: `cycles` equal cycles that rise over their first half, or else one linear warm-up.

    Cyclical annealing with M cycles and R = 1/2 (Fu et al., arXiv:1903.10145, eq. 6); 1 at the very end. Without
    cycles linear from 0 to 1 over `warmup_images`; 1 where there is no warm-up.
    """
    if cycles > 0:
        if images_seen >= total_images:
            return 1.0
        return min(1.0, 2.0 * (images_seen * cycles / total_images % 1.0))
    return min(1.0, images_seen / warmup_images) if warmup_images > 0 else 1.0
