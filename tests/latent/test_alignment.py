"""Alignment by orthogonal Procrustes: exact where it can be, and never more than a rotation or a reflection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_explorer.latent.alignment import procrustes, rotations_onto, turned_view
from vae_explorer.latent.views import PlaneView

seeds = st.integers(0, 2**32 - 1)


def orthogonal(draw: np.random.Generator, num_dimensions: int) -> np.ndarray:
    rotation_DD, upper_DD = np.linalg.qr(draw.normal(size=(num_dimensions, num_dimensions)))
    return rotation_DD * np.sign(np.diag(upper_DD))


def distances(codes_ND: np.ndarray) -> np.ndarray:
    return np.linalg.norm(codes_ND[:, None] - codes_ND[None], axis=2)


@given(seeds, st.integers(1, 12))
def test_a_rotation_or_reflection_is_recovered_exactly(seed: int, num_dimensions: int) -> None:
    draw = np.random.default_rng(seed)
    codes_ND = draw.normal(size=(40, num_dimensions)) * draw.uniform(0.2, 3.0, size=num_dimensions)
    rotation_DD = orthogonal(draw, num_dimensions)
    np.testing.assert_allclose(procrustes(codes_ND, codes_ND @ rotation_DD), rotation_DD, atol=1e-8)


def test_a_mirror_image_is_mirrored_back() -> None:
    codes_N2 = np.random.default_rng(1).normal(size=(30, 2))
    rotation_22 = procrustes(codes_N2 * [1, -1], codes_N2)
    np.testing.assert_allclose(rotation_22, np.diag([1.0, -1.0]), atol=1e-12)
    assert np.linalg.det(rotation_22) < 0


@given(seeds, st.integers(1, 6))
def test_distances_never_change_and_no_rotation_comes_nearer(seed: int, num_dimensions: int) -> None:
    draw = np.random.default_rng(seed)
    codes_ND, onto_ND = draw.normal(size=(2, 15, num_dimensions))
    rotation_DD = procrustes(codes_ND, onto_ND)
    np.testing.assert_allclose(distances(codes_ND @ rotation_DD), distances(codes_ND), atol=1e-9)
    least = np.linalg.norm(codes_ND @ rotation_DD - onto_ND)
    for _ in range(5):
        other_DD = rotation_DD @ orthogonal(draw, num_dimensions)
        assert np.linalg.norm(codes_ND @ other_DD - onto_ND) >= least - 1e-9


def test_items_without_a_place_are_left_out() -> None:
    draw = np.random.default_rng(3)
    codes_ND, rotation_DD = draw.normal(size=(20, 3)), orthogonal(draw, 3)
    onto_ND = codes_ND @ rotation_DD
    codes_ND[4], onto_ND[7] = np.nan, np.inf
    np.testing.assert_allclose(procrustes(codes_ND.astype(np.float16), onto_ND), rotation_DD, atol=1e-3)


@pytest.mark.parametrize("codes_ND", [np.zeros((5, 3)), np.full((5, 3), np.nan), np.zeros((0, 3))])
def test_codes_that_say_nothing_are_not_turned(codes_ND: np.ndarray) -> None:
    rotation_DD = procrustes(codes_ND, codes_ND)
    np.testing.assert_allclose(rotation_DD, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("reference", [0, 5, 11])
def test_a_space_that_spins_through_training_stands_still(reference: int) -> None:
    """Rotated by a little more each frame, and mirrored once: aligned, all frames are the one they are aligned with."""
    draw = np.random.default_rng(5)
    last_ND = draw.normal(size=(50, 2))
    frames = []
    for number in range(12):
        angle = 0.7 * (11 - number)
        turn_22 = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        frames.append(last_ND @ turn_22 @ np.diag([1.0, -1.0 if number < 5 else 1.0]))
    rotations = rotations_onto(frames, reference)
    np.testing.assert_array_equal(rotations[reference], np.eye(2))
    for frame, rotation_22 in zip(frames, rotations, strict=True):
        np.testing.assert_allclose(frame @ rotation_22, frames[reference], atol=1e-9)


@given(seeds, st.integers(2, 8))
def test_a_turned_view_shows_codes_where_the_view_shows_them_turned(seed: int, num_dimensions: int) -> None:
    draw = np.random.default_rng(seed)
    view = PlaneView.through(*draw.normal(size=(3, num_dimensions)), ("x", "y"))
    rotation_DD, z_ND = orthogonal(draw, num_dimensions), draw.normal(size=(10, num_dimensions))
    turned = turned_view(view, rotation_DD)
    np.testing.assert_allclose(turned.project(z_ND), view.project(z_ND @ rotation_DD), atol=1e-6)
    xy_N2 = draw.normal(size=(10, 2))
    np.testing.assert_allclose(turned.lift(xy_N2) @ rotation_DD, view.lift(xy_N2), atol=1e-9)
    np.testing.assert_allclose(turned.distance(z_ND), view.distance(z_ND @ rotation_DD), atol=1e-6)
    assert turned.axis_labels == view.axis_labels
