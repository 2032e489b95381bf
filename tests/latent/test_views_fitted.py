from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_explorer.errors import UserError
from vae_explorer.latent.view_fitting import lda_plane, pca_plane, plane_of_directions, plane_through_points
from vae_explorer.latent.views import Float64, PlaneView


def axes(view: PlaneView) -> Float64:
    return np.array([view.u, view.v])


def rotation(num_dimensions: int, seed: int) -> Float64:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(num_dimensions, num_dimensions)))[0]


def small_rotation(num_dimensions: int, size: float, random: np.random.Generator) -> Float64:
    """The Cayley transform of a random antisymmetric matrix: a rotation near the identity."""
    matrix = size * random.normal(size=(num_dimensions, num_dimensions))
    turn = matrix - matrix.T
    identity = np.eye(num_dimensions)
    return np.linalg.solve(identity + turn, identity - turn)


def test_pca_finds_the_axes_and_the_shares_of_a_known_gaussian() -> None:
    basis_DD = rotation(6, 0)
    deviation_D = np.array([3.0, 2.0, 1.0, 0.5, 0.2, 0.1])
    codes_ND = np.random.default_rng(1).normal(size=(50_000, 6)) * deviation_D @ basis_DD.T + 7.0
    view = pca_plane(codes_ND)
    assert np.abs(axes(view) @ basis_DD[:, :2]) == pytest.approx(np.eye(2), abs=0.02)
    assert axes(view) @ axes(view).T == pytest.approx(np.eye(2), abs=1e-12)
    assert np.array(view.anchor) == pytest.approx(np.full(6, 7.0), abs=0.1)
    assert view.explained is not None
    assert view.explained == pytest.approx((9 / 14.3, 4 / 14.3), abs=0.01)
    assert view.axis_labels == ("PC1 · 63 %", f"PC2 · {100 * view.explained[1]:.0f} %")


def test_pca_agrees_with_the_singular_value_decomposition() -> None:
    codes_ND = np.random.default_rng(2).normal(size=(300, 5)) * np.arange(1, 6)
    _, singular_D, rows_DD = np.linalg.svd(codes_ND - codes_ND.mean(axis=0), full_matrices=False)
    view = pca_plane(codes_ND)
    assert np.abs(np.einsum("ad,ad->a", axes(view), rows_DD[:2])) == pytest.approx(np.ones(2))
    assert view.explained == pytest.approx(singular_D[:2] ** 2 / np.sum(singular_D**2))


def test_codes_that_are_not_finite_are_left_out() -> None:
    codes_ND = np.random.default_rng(0).normal(size=(400, 4)) * np.array([3.0, 2.0, 1.0, 0.5])
    labels_N = np.arange(400) % 3
    codes_ND[labels_N == 1, 3] += 5.0
    clean_ND, clean_labels_N = np.delete(codes_ND, [7, 50], axis=0), np.delete(labels_N, [7, 50])
    codes_ND[7, 0], codes_ND[50, 2] = np.nan, np.inf
    assert axes(pca_plane(codes_ND)) == pytest.approx(axes(pca_plane(clean_ND)))
    assert axes(lda_plane(codes_ND, labels_N)) == pytest.approx(axes(lda_plane(clean_ND, clean_labels_N)))


@pytest.mark.parametrize(
    "codes_ND", [np.full((50, 3), np.nan), np.zeros((1, 3)), np.zeros((0, 3)), np.zeros((9, 1))], ids=repr
)
def test_too_few_codes_are_said_in_a_sentence(codes_ND: Float64) -> None:
    with pytest.raises(UserError) as caught:
        pca_plane(codes_ND)
    assert caught.value.hint


def test_collapsed_codes_still_have_a_plane_that_stands_still() -> None:
    first = pca_plane(np.ones((30, 4)))
    assert first.explained == (0.0, 0.0)
    last = pca_plane(np.random.default_rng(0).normal(size=(30, 4)))
    assert axes(pca_plane(np.ones((30, 4)), last)) == pytest.approx(axes(last))


def ridge(codes_ND: Float64) -> Float64:
    num_dimensions = codes_ND.shape[1]
    return 0.05 * codes_ND.var(axis=0).sum() / num_dimensions * np.eye(num_dimensions)


def test_two_classes_are_set_apart_by_the_closed_form_direction() -> None:
    """Fisher: w is proportional to (S_W + r I)^-1 (m1 - m0), r being 5 % of the mean variance of a dimension."""
    random = np.random.default_rng(0)
    mixing_DD = np.array([[1.0, 0.8, 0.0], [0.0, 0.6, 0.3], [0.0, 0.0, 2.0]])
    labels_N = random.integers(0, 2, 20_000)
    codes_ND = random.normal(size=(20_000, 3)) @ mixing_DD + np.outer(labels_N, [1.0, 0.0, 1.5])
    means_2D = np.stack([codes_ND[labels_N == label].mean(axis=0) for label in (0, 1)])
    within_DD = np.cov((codes_ND - means_2D[labels_N]).T, bias=True) + ridge(codes_ND)
    expected_D = np.linalg.solve(within_DD, means_2D[1] - means_2D[0])
    expected_D /= np.linalg.norm(expected_D)
    view = lda_plane(codes_ND, labels_N)
    assert abs(np.array(view.u) @ expected_D) == pytest.approx(1.0, abs=1e-12)
    assert view.axis_labels == ("LD1", "PC1 ⟂ LD1")
    # Beside the one discriminant of two classes: the widest direction of what is perpendicular to it.
    rest_ND = codes_ND - codes_ND.mean(axis=0)
    rest_ND = rest_ND - np.outer(rest_ND @ view.u, view.u)
    widest_D = np.linalg.svd(rest_ND, full_matrices=False)[2][0]
    assert abs(np.array(view.v) @ widest_D) == pytest.approx(1.0, abs=1e-9)


def test_three_classes_span_the_plane_of_their_whitened_means() -> None:
    random = np.random.default_rng(0)
    labels_N = random.integers(0, 3, 20_000)
    centres_3D = np.array([[0.0, 0, 0, 0, 0], [4.0, 0, 0, 0, 0], [0.0, 2.0, 0, 0, 0]])
    mixing_DD = np.eye(5) + 0.3 * random.normal(size=(5, 5))
    codes_ND = random.normal(size=(20_000, 5)) @ mixing_DD + centres_3D[labels_N]
    view = lda_plane(codes_ND, labels_N)
    expected_2D = np.linalg.solve(mixing_DD.T @ mixing_DD + ridge(codes_ND), (centres_3D[1:] - centres_3D[0]).T).T
    expected_2D = np.linalg.qr(expected_2D.T)[0].T
    # Two planes are one if the cosines of their principal angles are 1.
    assert np.linalg.svd(axes(view) @ expected_2D.T)[1] == pytest.approx(np.ones(2), abs=2e-3)
    assert axes(view) @ axes(view).T == pytest.approx(np.eye(2), abs=1e-12)
    # The direction best for the ratio of scatters: no other one of the plane is better.
    means_3D = np.stack([codes_ND[labels_N == label].mean(axis=0) for label in range(3)])
    within_DD = np.cov((codes_ND - means_3D[labels_N]).T, bias=True) + ridge(codes_ND)
    between_DD = np.cov(means_3D[labels_N].T, bias=True)
    angle_P = np.linspace(0.0, np.pi, 721)
    w_PD = np.stack([np.cos(angle_P), np.sin(angle_P)], axis=1) @ axes(view)
    ratio_P = np.einsum("pd,de,pe->p", w_PD, between_DD, w_PD) / np.einsum("pd,de,pe->p", w_PD, within_DD, w_PD)
    assert ratio_P[0] == pytest.approx(ratio_P.max(), rel=1e-5)


@pytest.mark.parametrize("num_classes", [2, 4])
def test_a_dead_unit_that_sets_the_classes_apart_by_chance_is_no_discriminant(num_classes: int) -> None:
    """Fisher's ratio knows no scale: it is 12 or more in the collapsed unit and 2 at most in those in use."""
    random = np.random.default_rng(0)
    labels_N = np.arange(4000) % num_classes
    codes_ND = random.normal(size=(4000, 4)) + 2.0 * np.eye(4)[labels_N % 3]
    codes_ND[:, 3] = 1e-3 * random.normal(size=4000) + np.where(labels_N == 0, 8e-3, 0.0)
    assert codes_ND[:, 3].var() < 6e-5
    view = lda_plane(codes_ND, labels_N)
    assert np.abs(axes(view)[:, 3]).max() < 0.1
    xy_N2 = view.project(codes_ND)
    assert xy_N2.std(axis=0).min() > 0.5


def test_lda_needs_two_classes_and_survives_a_dead_dimension() -> None:
    codes_ND = np.random.default_rng(0).normal(size=(100, 4))
    with pytest.raises(UserError, match="one class"):
        lda_plane(codes_ND, np.full(100, 3))
    with pytest.raises(UserError, match="one class"):
        lda_plane(codes_ND, np.where(np.arange(100) < 50, 3, -1))
    codes_ND[:, 2] = 0.0
    assert np.isfinite(axes(lda_plane(codes_ND, np.arange(100) % 3))).all()
    assert np.isfinite(axes(lda_plane(np.zeros((100, 4)), np.arange(100) % 3))).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("deviation", [(3.0, 2.0, 1.0, 1.0), (2.0, 2.0, 1.0, 1.0), (2.0, 1.0, 1.0, 1.0)], ids=repr)
def test_planes_fitted_again_neither_flip_nor_spin(deviation: tuple[float, ...], seed: int) -> None:
    """Also where eigenvalues are equal, so that the eigenvectors themselves are arbitrary and jump."""
    random = np.random.default_rng(seed)
    codes_ND = random.normal(size=(400, 4)) * np.array(deviation)
    labels_N = np.arange(400) % 4
    codes_ND += 2.0 * random.normal(size=(4, 4))[labels_N]
    views = [(pca_plane(codes_ND), lda_plane(codes_ND, labels_N))]
    for _ in range(20):
        codes_ND = codes_ND @ small_rotation(4, 0.01, random) + 0.02 * random.normal(size=codes_ND.shape)
        last_pca, last_lda = views[-1]
        views.append((pca_plane(codes_ND, last_pca), lda_plane(codes_ND, labels_N, last_lda)))
    for kind in range(2):
        frames = np.array([axes(pair[kind]) for pair in views])
        along = np.einsum("tad,tad->ta", frames[1:], frames[:-1])
        assert along.min() > 0.8
        assert np.einsum("tad,tbd->tab", frames, frames) == pytest.approx(np.tile(np.eye(2), (21, 1, 1)), abs=1e-9)


def test_a_mirrored_start_is_continued_and_not_mended() -> None:
    codes_ND = np.random.default_rng(0).normal(size=(500, 3)) * np.array([3.0, 2.0, 1.0])
    view = pca_plane(codes_ND)
    mirrored = replace(view, u=tuple(-value for value in view.u))
    assert axes(pca_plane(codes_ND, mirrored)) == pytest.approx(axes(mirrored))


def test_no_axis_turns_against_the_last_one_however_that_lay() -> None:
    """Nearness in the discriminants' own metric is not nearness on the map, and the map's is what counts."""
    random = np.random.default_rng(0)
    labels_N = np.arange(600) % 3
    mixing_DD = random.normal(size=(4, 4)) * np.array([5.0, 1.0, 0.2, 1.0])
    codes_ND = random.normal(size=(600, 4)) @ mixing_DD + 3.0 * random.normal(size=(3, 4))[labels_N]
    view = lda_plane(codes_ND, labels_N)
    for seed in range(40):
        frame_2D = rotation(4, seed)[:2]
        last = replace(view, u=tuple(frame_2D[0].tolist()), v=tuple(frame_2D[1].tolist()))
        assert np.einsum("ad,ad->a", axes(lda_plane(codes_ND, labels_N, last)), frame_2D).min() >= 0.0


def test_distinct_components_are_shown_as_they_are_however_the_last_view_lay() -> None:
    """Labels stay true: only the sign is taken from the last view."""
    codes_ND = np.random.default_rng(0).normal(size=(2000, 4)) * np.array([4.0, 3.0, 2.0, 1.0])
    exact = axes(pca_plane(codes_ND))
    turned = replace(pca_plane(codes_ND), u=(0.8, 0.5, 0.3, 0.1), v=(-0.5, 0.8, 0.1, 0.3))
    assert np.abs(np.einsum("ad,ad->a", axes(pca_plane(codes_ND, turned)), exact)) == pytest.approx(np.ones(2))


def test_components_that_crossed_change_places_by_turning() -> None:
    random = np.random.default_rng(0)
    noise_ND = random.normal(size=(4000, 3))
    view = pca_plane(noise_ND * np.array([2.0, 1.8, 0.5]))
    along = []
    for share in np.linspace(0.0, 1.0, 60):
        fitted = pca_plane(noise_ND * np.array([2.0 - 0.4 * share, 1.8 + 0.4 * share, 0.5]), view)
        along.append(np.einsum("ad,ad->a", axes(fitted), axes(view)))
        view = fitted
    assert np.array(along).min() > 0.3
    assert abs(view.u[1]) > 0.99
    assert abs(view.v[0]) > 0.99
    assert view.explained is not None
    assert view.explained[0] > view.explained[1]


@given(num_dimensions=st.integers(2, 30), seed=st.integers(0, 500))
def test_the_plane_through_three_points_shows_them_where_they_are(num_dimensions: int, seed: int) -> None:
    points_3D = np.random.default_rng(seed).normal(size=(3, num_dimensions))
    view = plane_through_points(points_3D)
    xy_32 = view.project(points_3D)
    assert np.abs(view.lift(xy_32) - points_3D).max() < 1e-10
    assert all(view.holds(z_D) for z_D in points_3D)
    distances = [np.linalg.norm(points_3D[a] - points_3D[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert [np.linalg.norm(xy_32[a] - xy_32[b]) for a, b in ((0, 1), (0, 2), (1, 2))] == pytest.approx(distances)


@pytest.mark.parametrize("third", [(2.0, 2.0, 2.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)], ids=repr)
def test_no_plane_through_points_on_a_line(third: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match="one line"):
        plane_through_points(np.array([(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), third]))


def test_two_directions_are_made_perpendicular_and_say_so() -> None:
    anchor_D = np.array([1.0, 2.0, 3.0])
    view = plane_of_directions(anchor_D, np.array([2.0, 0, 0]), np.array([3.0, 3.0, 0]), ("smile", "age"))
    assert axes(view) == pytest.approx(np.array([[1.0, 0, 0], [0, 1.0, 0]]))
    assert view.axis_labels == ("smile", "age less smile")
    assert view.holds(anchor_D)
    apart = plane_of_directions(anchor_D, np.array([2.0, 0, 0]), np.array([0, 0, 4.0]), ("smile", "age"))
    assert apart.axis_labels == ("smile", "age")
    with pytest.raises(UserError, match="the same"):
        plane_of_directions(anchor_D, np.ones(3), -2 * np.ones(3), ("smile", "age"))
