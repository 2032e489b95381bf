"""How well pictures come back: squared error, PSNR and SSIM of the mean decoded at the posterior mean; MODELS.md 6.11.

The picture that comes back is compared with the grey levels from which bits were drawn, where the protocol draws any.
Legend: B pictures, N of all, C channels, H height, W width.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from vae_explorer.evaluation.evaluation import Evaluation, Outcome, blocks, part_of

if TYPE_CHECKING:
    from torch import Tensor

SMALL_WINDOW = 7
LARGE_WINDOW, LARGE_SIGMA = 11, 1.5
LARGE_PICTURE = 64
"""From this side on SSIM weighs its window by a Gaussian, as Wang et al. 2004 do."""

LEAST_ERROR = 1e-12
"""Below this an error is that of rounding: PSNR ends at 120 dB."""

_PICTURES_AT_ONCE = 64  # what is in between stays in the cache
_C1, _C2 = 0.01**2, 0.03**2


def squared_error(evaluation: Evaluation) -> Outcome:
    """Mean squared error a pixel."""
    error_N, _ = _errors(evaluation)
    return Outcome.mean_of(error_N)


def denoising_error(evaluation: Evaluation) -> Outcome:
    """Mean squared error a pixel against the clean picture, decoded from one that was corrupted as in training."""
    model, errors = evaluation.model, []
    with torch.inference_mode():
        for block in blocks(model, evaluation.images, evaluation.seed, advance=evaluation.advance):
            given_BCHW = model.corrupted(block.x_BCHW, block.generator)
            assert given_BCHW is not None, "the record says that the model undoes a corruption"
            decoded_BCHW = model.decode(model.encode(given_BCHW, block.condition).mean, block.condition).mean_BCHW
            errors.append((decoded_BCHW - block.x_BCHW).double().square().flatten(1).mean(1).cpu())
    return Outcome.mean_of(torch.cat(errors))


def psnr(evaluation: Evaluation) -> Outcome:
    """PSNR of the mean error, and in `detail` the mean of the PSNRs, which is another number."""
    error_N, _ = _errors(evaluation)
    error_N = error_N.clamp_min(LEAST_ERROR)
    mean = float(error_N.mean())
    error = None
    if len(error_N) > 1:
        # d PSNR = -10 / (ln 10 MSE) d MSE
        error = 10 / math.log(10) / mean * float(error_N.std()) / math.sqrt(len(error_N))
    each_N = -10 * error_N.log10()
    return Outcome(value=-10 * math.log10(mean), standard_error=error, detail={"mean_of_images": float(each_N.mean())})


def ssim(evaluation: Evaluation) -> Outcome:
    """Mean structural similarity."""
    _, similarity_N = _errors(evaluation)
    return Outcome.mean_of(similarity_N, detail={"window": _window(*evaluation.images.image_shape[1:])})


def _errors(evaluation: Evaluation) -> tuple[Tensor, Tensor]:
    """Mean squared error and SSIM of each picture, (N,) float64 on the CPU; one pass for the three measures."""

    def compute() -> tuple[Tensor, Tensor]:
        errors, similarities = [], []
        with torch.inference_mode():
            for block in blocks(evaluation.model, evaluation.images, advance=evaluation.advance):
                shown_BCHW = evaluation.images.shown(block.start, block.start + len(block.x_BCHW))
                z = evaluation.model.encode(block.x_BCHW, block.condition).mean
                for start in range(0, len(shown_BCHW), evaluation.rows_at_once):
                    part = slice(start, start + evaluation.rows_at_once)
                    z_part = tuple(level[part] for level in z) if isinstance(z, tuple) else z[part]
                    mean_BCHW = evaluation.model.decode(z_part, part_of(block.condition, part)).mean_BCHW.float()
                    errors.append((mean_BCHW - shown_BCHW[part]).double().square().flatten(1).mean(1).cpu())
                    similarities.append(structural_similarity(mean_BCHW, shown_BCHW[part]).cpu())
        return torch.cat(errors), torch.cat(similarities)

    return evaluation.shared("errors", compute)


def structural_similarity(first_BCHW: Tensor, second_BCHW: Tensor) -> Tensor:
    """Mean SSIM of pictures in [0, 1] over all windows that lie inside and over channels, (B,) float64.

    Wang, Bovik, Sheikh & Simoncelli 2004: windows of 7 x 7 with equal weights and unbiased variances (the convention of
    scikit-image), or of 11 x 11 with Gaussian weights of sigma 1.5 where both sides have 64 pixels.
    """
    parts = zip(first_BCHW.split(_PICTURES_AT_ONCE), second_BCHW.split(_PICTURES_AT_ONCE), strict=True)
    return torch.cat([_similarity(first.double(), second.double()) for first, second in parts])


def _similarity(x: Tensor, y: Tensor) -> Tensor:
    weight, unbiased = _weights(*x.shape[2:])

    def mean(picture: Tensor) -> Tensor:
        """The weighted mean of each window: first over its rows, then over its columns."""
        height, width = picture.shape[2] - len(weight) + 1, picture.shape[3] - len(weight) + 1
        rows, means = torch.zeros_like(picture[:, :, :height]), torch.zeros_like(picture[:, :, :height, :width])
        for i, share in enumerate(weight):
            rows += share * picture[:, :, i : i + height]
        for i, share in enumerate(weight):
            means += share * rows[..., i : i + width]
        return means

    mean_x, mean_y = mean(x), mean(y)
    variance_x = unbiased * (mean(x * x) - mean_x**2)
    variance_y = unbiased * (mean(y * y) - mean_y**2)
    covariance = unbiased * (mean(x * y) - mean_x * mean_y)
    likeness = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    likeness = likeness / ((mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2))
    return likeness.flatten(1).mean(1)


def _window(height: int, width: int) -> str:
    if min(height, width) >= LARGE_PICTURE:
        return f"{LARGE_WINDOW} x {LARGE_WINDOW}, Gaussian with sigma {LARGE_SIGMA}"
    side = min(SMALL_WINDOW, height, width)
    return f"{side} x {side}"


def _weights(height: int, width: int) -> tuple[list[float], float]:
    """The weights along one side of a window, summing to 1, and the factor that makes its variance unbiased."""
    if min(height, width) >= LARGE_PICTURE:
        place = torch.arange(LARGE_WINDOW, dtype=torch.float64) - LARGE_WINDOW // 2
        bell = torch.exp(-0.5 * (place / LARGE_SIGMA) ** 2)
        return (bell / bell.sum()).tolist(), 1.0
    side = min(SMALL_WINDOW, height, width)
    area = side * side
    return [1 / side] * side, area / (area - 1) if area > 1 else 1.0
