from __future__ import annotations

from math import erf, sqrt

import numpy as np
import pytest

from vae_explorer.errors import UserError
from vae_explorer.latent.attributes import applied, attribute_direction

NUM = 40_000


def test_two_known_gaussians_are_told_apart_as_theory_says() -> None:
    rng = np.random.default_rng(0)
    shift = np.array([1.5, 0.0, -2.0])
    codes = rng.normal(size=(2 * NUM, 3))
    codes[:NUM] += shift
    plus, minus = np.arange(NUM), np.arange(NUM, 2 * NUM)
    found = attribute_direction(codes.astype(np.float32), plus, minus)
    assert np.abs(found.vector_D - shift).max() < 0.03
    length = float(np.linalg.norm(shift))
    assert found.separation == pytest.approx(length, rel=0.02)
    # The accuracy of the threshold halfway between unit Gaussians is Phi(d' / 2).
    assert found.accuracy == pytest.approx(0.5 * (1 + erf(length / 2 / sqrt(2))), abs=0.01)
    back = attribute_direction(codes, minus, plus[:100])
    assert back.vector_D @ found.vector_D < 0
    assert (back.num_plus, back.num_minus) == (NUM, 100)


def test_groups_of_one_image_each_are_wholly_apart() -> None:
    found = attribute_direction(np.array([[0.0], [2.0]]), np.array([1]), np.array([0]))
    assert found.vector_D.tolist() == [2.0]
    assert found.separation == float("inf")
    assert found.accuracy == 1.0


def test_codes_that_are_not_finite_are_left_out() -> None:
    codes = np.array([[0.0, 0.0], [np.nan, 0.0], [2.0, 2.0], [np.inf, 1.0]])
    found = attribute_direction(codes, np.array([2, 3]), np.array([0, 1]))
    assert found.vector_D.tolist() == [2.0, 2.0]
    assert (found.num_plus, found.num_minus) == (1, 1)
    with pytest.raises(UserError, match="no codes"):
        attribute_direction(codes, np.array([1, 3]), np.array([0]))
    with pytest.raises(UserError, match="no codes"):
        attribute_direction(codes, np.array([0]), np.zeros(0, dtype=np.int64))
    with pytest.raises(UserError, match="same mean"):
        attribute_direction(codes, np.array([0, 2]), np.array([2, 0]))


def test_a_direction_is_applied_to_one_point_or_many() -> None:
    vector = np.array([1.0, -2.0])
    assert applied(np.array([3.0, 3.0]), vector, 0.5).tolist() == [3.5, 2.0]
    assert applied(np.zeros((4, 2)), vector, -1.0).tolist() == [[-1.0, 2.0]] * 4
    assert applied(np.ones(2), vector, 0.0).tolist() == [1.0, 1.0]
