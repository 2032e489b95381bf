"""Pictures that a model makes up: means of p(x|z) for z from its prior, and the real ones that they are compared with.

The mean is what the product shows; where the protocol draws bits from grey levels, those are the real ones. Points of
the plane and mixtures, whose latents are a few numbers so that means would be a few items again and again, give draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from vae_explorer.errors import UserError
from vae_explorer.evaluation.evaluation import BLOCK_IMAGES, Advance, Evaluation, part_of

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.evaluation.images import ScoredImages
    from vae_explorer.models.interface import Likelihood

POINTS_SHAPE = (2, 1, 1)

_STREAM = 1 << 23  # apart from the draws of the bounds, which number their blocks from 0


def generated(evaluation: Evaluation) -> Tensor:
    """As many pictures as `samples` says, (S, C, H, W) in float32 on the CPU.

    A model that is told a class or a part of the picture is told those of the measured images, from the first on.
    """
    return evaluation.shared(("generated", evaluation.samples), lambda: _generate(evaluation, evaluation.samples))


def gives_draws(evaluation: Evaluation) -> bool:
    """Whether what is generated are draws from p(x|z) instead of its means."""
    is_mixture = not (evaluation.record.has_codes or evaluation.record.has_codebook)
    return evaluation.images.image_shape == POINTS_SHAPE or is_mixture


def pictures_words(evaluation: Evaluation) -> str:
    """What `detail` says of generated pictures."""
    return f"{'draws from' if gives_draws(evaluation) else 'means of'} p(x|z), z from the prior"


def _generate(evaluation: Evaluation, num: int) -> Tensor:
    model, images = evaluation.model, evaluation.images
    device = images.stored_NCHW.device
    draws = gives_draws(evaluation)
    pictures = []
    with torch.inference_mode():
        for number, start in enumerate(range(0, num, BLOCK_IMAGES)):
            evaluation.advance(start, num)
            rows = min(BLOCK_IMAGES, num - start)
            generator = torch.Generator(device=device)
            generator.manual_seed((evaluation.seed << 24) + _STREAM + number)
            index_B = torch.arange(start, start + rows, device=device) % images.num_images
            labels_B = None if images.labels_N is None else images.labels_N[index_B]
            condition = model.condition_of(images.at(index_B), labels_B)
            z = model.sample_prior(rows, generator, condition)
            for first in range(0, rows, evaluation.rows_at_once):
                part = slice(first, first + evaluation.rows_at_once)
                z_part = tuple(level[part] for level in z) if isinstance(z, tuple) else z[part]
                decoded = model.decode(z_part, part_of(condition, part))
                if draws:
                    pictures.append(cast("Likelihood", decoded).sample(generator).float().cpu())
                else:
                    pictures.append(decoded.mean_BCHW.float().cpu())
    evaluation.advance(num, num)
    return torch.cat(pictures)


def real(images: ScoredImages, most: int | None = None, advance: Advance | None = None) -> Tensor:
    """The first `most` real pictures as a perfect decoder would show them, (N, C, H, W) in float32 on the CPU."""
    num = images.num_images if most is None else min(most, images.num_images)
    parts = []
    for start in range(0, num, BLOCK_IMAGES):
        if advance is not None:
            advance(start, num)
        parts.append(images.shown(start, min(start + BLOCK_IMAGES, num)).cpu())
    return torch.cat(parts)


def drawn_training(evaluation: Evaluation, most: int) -> tuple[Tensor, Tensor]:
    """Real pictures of at most so many training images, drawn with the seed, (T, C, H, W) in float32 on the CPU.

    Also their numbers among all training images, (T,).
    """

    def draw() -> tuple[Tensor, Tensor]:
        assert evaluation.training is not None, "the measure needs training images"
        training = evaluation.training()
        generator = torch.Generator().manual_seed(evaluation.seed)
        number_T = torch.randperm(training.num_images, generator=generator)[:most].sort().values
        return torch.cat([training.shown_at(part).cpu() for part in number_T.split(BLOCK_IMAGES)]), number_T

    return evaluation.shared(("training pictures", most), draw)


def require_enough(num: int, least: int, what: str) -> None:
    """Raise UserError where a measure has fewer pictures than its mathematics needs."""
    if num < least:
        raise UserError(f"{num} {what} are too few: this measure needs {least}.", f"Take at least {least}.")
