"""SSIM against its formula, window by window; PSNR against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.evaluation.known_models import Constant, evaluation_of, pictures_of
from vae_explorer.evaluation.reconstructions import (
    LEAST_ERROR,
    denoising_error,
    psnr,
    squared_error,
    ssim,
    structural_similarity,
)
from vae_explorer.models.deterministic import Picture, PointCode


def by_windows(first: np.ndarray, second: np.ndarray, weight: np.ndarray, factor: float) -> float:
    """The mean over all whole windows of one channel."""
    side = len(weight)
    found = []
    for row in range(first.shape[0] - side + 1):
        for column in range(first.shape[1] - side + 1):
            x, y = (picture[row : row + side, column : column + side] for picture in (first, second))
            mean_x, mean_y = (weight * x).sum(), (weight * y).sum()
            variance_x = factor * ((weight * x * x).sum() - mean_x**2)
            variance_y = factor * ((weight * y * y).sum() - mean_y**2)
            covariance = factor * ((weight * x * y).sum() - mean_x * mean_y)
            found.append(
                (2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)
                / ((mean_x**2 + mean_y**2 + 1e-4) * (variance_x + variance_y + 9e-4))
            )  # fmt: skip
    return float(np.mean(found))


def two_pictures(side: int, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.RandomState(0)
    first = random.uniform(0, 1, (channels, side, side))
    return first, np.clip(first + 0.3 * random.standard_normal(first.shape), 0, 1)


def test_small_pictures_have_windows_of_7_with_unbiased_variances() -> None:
    first, second = two_pictures(12)
    expected = by_windows(first[0], second[0], np.full((7, 7), 1 / 49), 49 / 48)
    found = structural_similarity(torch.from_numpy(first)[None], torch.from_numpy(second)[None])
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_large_pictures_have_gaussian_windows_of_11() -> None:
    first, second = two_pictures(64)
    bell = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    weight = np.outer(bell, bell) / np.outer(bell, bell).sum()
    found = structural_similarity(torch.from_numpy(first)[None], torch.from_numpy(second)[None])
    assert float(found) == pytest.approx(by_windows(first[0], second[0], weight, 1.0), rel=1e-9)


def test_ssim_of_a_picture_with_itself_is_one_and_of_flat_ones_that_of_their_means() -> None:
    first, _ = two_pictures(9, channels=3)
    picture = torch.from_numpy(first)[None]
    assert float(structural_similarity(picture, picture)) == pytest.approx(1.0)
    dark, light = torch.full((1, 1, 8, 8), 0.2), torch.full((1, 1, 8, 8), 0.7)
    expected = (2 * 0.2 * 0.7 + 1e-4) / (0.2**2 + 0.7**2 + 1e-4)
    assert float(structural_similarity(dark, light)) == pytest.approx(expected, rel=1e-6)


def test_ssim_of_colour_is_the_mean_of_its_channels() -> None:
    first, second = two_pictures(10, channels=3)
    found = structural_similarity(torch.from_numpy(first)[None], torch.from_numpy(second)[None])
    expected = np.mean([by_windows(a, b, np.full((7, 7), 1 / 49), 49 / 48) for a, b in zip(first, second, strict=True)])
    assert float(found) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_pictures_smaller_than_a_window_are_one_window(size: int) -> None:
    picture = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(structural_similarity(picture, picture), torch.ones(2).double())


def test_errors_of_a_constant_picture() -> None:
    levels = torch.tensor([0, 51, 255], dtype=torch.uint8)[:, None, None, None].expand(3, 1, 8, 8)
    evaluation = evaluation_of(Constant(0.2), pictures_of(levels, "grey"))
    expected = torch.tensor([0.04, 0.0, 0.64], dtype=torch.float64)
    found = squared_error(evaluation)
    assert found.value == pytest.approx(float(expected.mean()), rel=1e-5)
    assert found.standard_error == pytest.approx(float(expected.std()) / math.sqrt(3), rel=1e-5)
    ratio = psnr(evaluation)
    assert ratio.value == pytest.approx(-10 * math.log10(float(expected.mean())), rel=1e-5)
    each = -10 * np.log10(np.maximum(expected.numpy(), LEAST_ERROR))
    assert ratio.detail["mean_of_images"] == pytest.approx(each.mean(), rel=0.05), "rounding of float32 at no error"
    assert ratio.detail["mean_of_images"] > ratio.value
    assert ssim(evaluation).detail == {"window": "7 x 7"}


def test_bits_are_compared_with_the_grey_levels_they_were_drawn_from() -> None:
    levels = torch.full((4, 1, 8, 8), 51, dtype=torch.uint8)
    bits = (torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.2).to(torch.uint8)
    images = pictures_of(bits, "dynamic", binarised=True, grey_NCHW=levels)
    assert squared_error(evaluation_of(Constant(0.2), images)).value == pytest.approx(0.0, abs=1e-12)


def test_the_denoising_error_is_that_against_the_clean_picture_from_one_corrupted_by_the_seed() -> None:
    class Identity(Constant):
        """Gives back what it is shown, half of it black."""

        def corrupted(self, x_BCHW: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
            return x_BCHW * (torch.rand(x_BCHW.shape, generator=generator) < 0.5)

        def encode(self, x_BCHW: torch.Tensor, condition: object = None) -> PointCode:
            return PointCode(x_BCHW.flatten(1))

        def decode(self, z: torch.Tensor, condition: object = None) -> Picture:
            return Picture(z.unflatten(1, (1, 8, 8)))

    stored = torch.full((400, 1, 8, 8), 102, dtype=torch.uint8)  # 0.4 in [0, 1]
    found = denoising_error(evaluation_of(Identity(0.0), pictures_of(stored, "grey")))
    assert found.value == pytest.approx(0.5 * 0.4**2, rel=0.02)
    again = denoising_error(evaluation_of(Identity(0.0), pictures_of(stored, "grey"), seed=1))
    assert again.value != found.value
