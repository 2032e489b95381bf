"""Planes found from the codes or from what a person picked: PCA, LDA, three points, two directions. Torch-free.

Legend: N codes, D latent dimensions. Axes are orthonormal, so that map distances are latent distances.

Planes that are fitted again while training goes on are continued from the last one, and neither flip nor spin. Any
eigenvector may change its sign, and of eigenvalues that are almost equal any rotation of the eigenvectors is as good.
So the new axis k is the part of the last axis k that lies along eigenvectors whose eigenvalue is as large as the k-th:

    axis_k = sum_i w_ik (e_i . last_k) e_i,    w_ik = exp(-log(lambda_i / lambda_k)^2 / (2 * 0.03^2))

With eigenvalues 10 % or more apart that is the k-th eigenvector itself with the sign of the last axis, so the labels
stay true; with almost equal ones it is the orthogonal Procrustes solution within their span, which relaxes towards
the eigenvectors; and where two truly crossed, the axes turn into their new order over a few fits instead of jumping.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.views import Float64, Floats, PlaneView, perpendicular

_MOST_CODES = 20_000
_LOG_RATIO_OF_EQUALS = 0.03
# Relative to the mean variance of a dimension: far more than a collapsed unit varies, far less than one in use.
_RIDGE = 5e-2


def pca_plane(codes_ND: Floats, last: PlaneView | None = None) -> PlaneView:
    """The plane of the two leading principal components through the codes' mean, with its shares of the variance.

    At most 20,000 codes, evenly chosen; what is not finite is left out. Raises UserError without two codes.
    """
    codes = _finite_codes(codes_ND, None)[0]
    mean_D, covariance_DD = _moments(codes)
    variance_D, basis_DD = _eigenvectors(covariance_DD)
    axes_2D = _continued(basis_DD, basis_DD.T, variance_D, _same_space(last, mean_D.size))
    total = float(variance_D.sum())
    shares = np.einsum("ad,de,ae->a", axes_2D, covariance_DD, axes_2D) / total if total > 0.0 else np.zeros(2)
    explained = (float(shares[0]), float(shares[1]))
    labels = (f"PC1 · {100 * explained[0]:.0f} %", f"PC2 · {100 * explained[1]:.0f} %")
    return PlaneView.through(mean_D, axes_2D[0], axes_2D[1], labels, explained)


def lda_plane(codes_ND: Floats, labels_N: NDArray[np.integer[Any]], last: PlaneView | None = None) -> PlaneView:
    """The plane of Fisher's two leading discriminants through the codes' mean: where the classes are farthest apart.

    Directions w of the largest w'S_B w / w'(S_W + r I) w, made orthonormal one after the other. The ridge r is 5 % of
    the mean variance of a dimension: the ratio alone knows no scale, and a collapsed unit, whose codes hardly vary,
    would win by the little that sets them apart. Two classes have one discriminant only; y is then the direction of
    largest variance perpendicular to it. Labels below 0 are no class. At most 20,000 codes, evenly chosen. Raises
    UserError where fewer than two classes have codes.
    Fisher: The use of multiple measurements in taxonomic problems, 1936; Rao 1948; the ridge as in Friedman:
    Regularized discriminant analysis, JASA 84, 1989.
    """
    codes, labels = _finite_codes(codes_ND, labels_N)
    classes, class_N = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise UserError(
            "The codes belong to one class only, which nothing sets apart.",
            "Choose the PCA view, or a data set with two classes or more.",
        )
    mean_D, total_DD = _moments(codes)
    count_K = np.bincount(class_N).astype(np.float64)
    centred_ND = codes - mean_D
    mean_KD = np.stack([np.bincount(class_N, column) for column in centred_ND.T], axis=1) / count_K[:, None]
    between_DD = (mean_KD.T * (count_K / count_K.sum())) @ mean_KD
    ridge = _RIDGE * np.trace(total_DD) / mean_D.size + np.finfo(np.float64).tiny ** 0.5
    within_DD = total_DD - between_DD + ridge * np.eye(mean_D.size)
    factor_DD = _root(within_DD, ridge)
    whitening_DD = np.linalg.inv(factor_DD)
    ratio_D, rotation_DD = _eigenvectors(whitening_DD @ between_DD @ whitening_DD)
    basis_DD, inverse_DD = whitening_DD @ rotation_DD, rotation_DD.T @ factor_DD
    last = _same_space(last, mean_D.size)
    if len(classes) > 2:
        axes_2D = _continued(basis_DD, inverse_DD, ratio_D, last)
        return PlaneView.through(mean_D, axes_2D[0], axes_2D[1], ("LD1", "LD2"))
    u_D = _unit(_axis(basis_DD, inverse_DD, ratio_D, 0, None if last is None else np.array(last.u)))
    across_DD = np.eye(mean_D.size) - np.outer(u_D, u_D)
    # Far above any variance, so that u itself is the first eigenvector and what is sought the second.
    lifted_DD = across_DD @ total_DD @ across_DD + (2.0 * np.trace(total_DD) + 1.0) * np.outer(u_D, u_D)
    variance_D, across_basis_DD = _eigenvectors(lifted_DD)
    v_D = _axis(across_basis_DD, across_basis_DD.T, variance_D, 1, None if last is None else np.array(last.v))
    v_D = _unit(perpendicular(v_D, u_D[None]))
    return PlaneView.through(mean_D, u_D, v_D, ("LD1", "PC1 ⟂ LD1"))


def plane_through_points(points_3D: Floats) -> PlaneView:
    """The plane through three latent points: the first is the map's origin, x points from it to the second.

    Raises UserError where the points lie on one line.
    """
    points = np.asarray(points_3D, dtype=np.float64)
    towards_2D = points[1:] - points[0]
    lengths_2 = np.linalg.norm(towards_2D, axis=1)
    if lengths_2.min() > 0.0:
        u_D = towards_2D[0] / lengths_2[0]
        rest_D = perpendicular(towards_2D[1], u_D[None])
        aside = float(np.linalg.norm(rest_D))
        if aside > 1e-6 * lengths_2.max():
            return PlaneView.through(points[0], u_D, rest_D / aside, ("point 1 → 2", "towards point 3"))
    raise UserError(
        "The three points lie on one line, and many planes go through a line.", "Move one of them aside."
    )  # fmt: skip


def plane_of_directions(anchor_D: Floats, u_D: Floats, v_D: Floats, names: tuple[str, str]) -> PlaneView:
    """The plane through the anchor along two directions; y is the second less what it has of the first.

    Raises UserError where they are parallel or have no length.
    """
    u, v = np.asarray(u_D, dtype=np.float64), np.asarray(v_D, dtype=np.float64)
    length_u, length_v = float(np.linalg.norm(u)), float(np.linalg.norm(v))
    if length_u > 0.0 and length_v > 0.0:
        u, v = u / length_u, v / length_v
        rest_D = perpendicular(v, u[None])
        aside = float(np.linalg.norm(rest_D))
        if aside > 1e-6:
            name = names[1] if abs(u @ v) < 0.05 else f"{names[1]} less {names[0]}"
            return PlaneView.through(anchor_D, u, rest_D / aside, (names[0], name))
    raise UserError("The two directions are the same, so they span no plane.", "Choose two different directions.")


def _finite_codes(codes_ND: Floats, labels_N: NDArray[np.integer[Any]] | None) -> tuple[Float64, NDArray[np.int64]]:
    """At most 20,000 codes, and their labels (or 0), without those that are not finite or have no class."""
    codes = np.asarray(codes_ND)
    if codes.ndim != 2 or codes.shape[1] < 2:
        raise UserError("A plane needs a latent space of two dimensions or more.", "Choose the line view.")
    chosen_N = np.linspace(0, len(codes) - 1, min(len(codes), _MOST_CODES)).astype(np.int64)
    chosen_ND: Float64 = codes[chosen_N].astype(np.float64)
    labels = np.zeros(len(chosen_N), np.int64) if labels_N is None else np.asarray(labels_N)[chosen_N].astype(np.int64)
    is_fit_N = np.isfinite(chosen_ND).all(axis=1) & (labels >= 0)
    if is_fit_N.sum() < 2:
        raise UserError(
            "Fewer than two codes are finite, too few to fit a plane to.", "Choose the view of two dimensions."
        )  # fmt: skip
    return chosen_ND[is_fit_N], labels[is_fit_N]


def _moments(codes_ND: Float64) -> tuple[Float64, Float64]:
    mean_D: Float64 = codes_ND.mean(axis=0)
    centred_ND = codes_ND - mean_D
    return mean_D, centred_ND.T @ centred_ND / len(codes_ND)


def _eigenvectors(symmetric_DD: Float64) -> tuple[Float64, Float64]:
    """Eigenvalues, the largest first and none below zero, and the eigenvectors in columns."""
    values_D, vectors_DD = np.linalg.eigh((symmetric_DD + symmetric_DD.T) / 2.0)
    return np.maximum(values_D[::-1], 0.0), vectors_DD[:, ::-1]


def _root(symmetric_DD: Float64, least: float) -> Float64:
    """The symmetric square root, whose squared eigenvalues are at least `least`."""
    values_D, vectors_DD = _eigenvectors(symmetric_DD)
    root_DD: Float64 = (vectors_DD * np.sqrt(np.maximum(values_D, least))) @ vectors_DD.T
    return root_DD


def _continued(basis_DD: Float64, inverse_DD: Float64, strength_D: Float64, last: PlaneView | None) -> Float64:
    """The two leading axes, orthonormal, continued from the last view's; see the top of this module."""
    last_2D = None if last is None else np.array([last.u, last.v])
    u_D = _unit(_axis(basis_DD, inverse_DD, strength_D, 0, None if last_2D is None else last_2D[0]))
    v_D = _axis(basis_DD, inverse_DD, strength_D, 1, None if last_2D is None else last_2D[1])
    # Two axes that turn into each other's place may meet; what is left then is the better of the two eigenvectors.
    candidates = [perpendicular(vector_D / np.linalg.norm(vector_D), u_D[None]) for vector_D in (v_D, *basis_DD.T[:2])]
    v_D = next((vector_D for vector_D in candidates if np.linalg.norm(vector_D) > 0.1), candidates[2])
    if last_2D is not None and v_D @ last_2D[1] < 0.0:
        v_D = -v_D
    return np.stack([u_D, _unit(v_D)])


def _axis(basis_DD: Float64, inverse_DD: Float64, strength_D: Float64, k: int, last_D: Float64 | None) -> Float64:
    """The k-th axis of any length: that part of the last one that is as strong as the k-th, with its sign."""
    own_D = basis_DD[:, k]
    if last_D is None:
        own_sign = np.sign(own_D[np.argmax(np.abs(own_D))])
        return np.asarray(own_sign * own_D, dtype=np.float64)
    least = 1e-12 * strength_D[0] + np.finfo(np.float64).tiny
    log_ratio_D = np.log((strength_D + least) / (strength_D[k] + least))
    weight_D = np.exp(-0.5 * np.square(log_ratio_D / _LOG_RATIO_OF_EQUALS))
    axis_D = basis_DD @ (weight_D * (inverse_DD @ last_D))
    if np.linalg.norm(axis_D) < 1e-6 * np.linalg.norm(last_D):
        axis_D = own_D
    return np.asarray(-axis_D if axis_D @ last_D < 0.0 else axis_D, dtype=np.float64)


def _unit(vector_D: Float64) -> Float64:
    return np.asarray(vector_D / np.linalg.norm(vector_D), dtype=np.float64)


def _same_space(last: PlaneView | None, num_dimensions: int) -> PlaneView | None:
    return last if last is not None and last.num_dimensions == num_dimensions else None
