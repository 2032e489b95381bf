"""The views a person can choose, as records, and how each is built from the choice and the codes. Torch-free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.curved_views import InverseCdfView, SphereView, independent_directions
from vae_explorer.latent.grand_tour import tour_view
from vae_explorer.latent.view_fitting import lda_plane, pca_plane, plane_of_directions, plane_through_points
from vae_explorer.latent.views import Float64, Floats, LineView, PlaneView, View
from vae_explorer.registry import Registry


@dataclass(frozen=True, slots=True)
class ViewChoice:
    """What a person chose: a record's name and what that view needs.

    `i`, `j` and `anchor` (empty: the origin) for "dimensions" and "inverse-cdf"; `points` for "three-points" and
    "sphere", which without them takes the axes of `i`, `j` and one more; `directions`, their names and `anchor` for
    "directions"; `seed` and `anchor` for "tour". `locked` is the plane that a fitted view is kept at while training
    goes on, None while it follows the codes.
    """

    name: str
    i: int = 0
    j: int = 1
    anchor: tuple[float, ...] = ()
    points: tuple[tuple[float, ...], ...] = ()
    directions: tuple[tuple[float, ...], ...] = ()
    direction_names: tuple[str, str] = ("direction 1", "direction 2")
    locked: PlaneView | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class FitData:
    """What views are fitted to: the codes, and the items' labels where they have some."""

    codes_ND: Floats
    labels_N: NDArray[np.integer[Any]] | None = None


BuildView = Callable[[ViewChoice, FitData, View | None], View]


@dataclass(frozen=True, slots=True)
class ViewRecord:
    """One kind of view.

    `least_dimensions` and `most_dimensions` (None: any number) say for which latent spaces it is; `needs` what must be
    there: "labels", "three points", "two directions". `is_fitted`: it follows the codes and is built again with each
    snapshot. `build(choice, data, last)`: `last` is the last view of the same choice, from which a fitted view is
    continued without flipping or spinning; raises UserError where the choice cannot be made.
    """

    name: str
    title: str
    summary: str
    reference: str
    build: BuildView
    least_dimensions: int
    most_dimensions: int | None = None
    needs: frozenset[str] = frozenset()
    is_fitted: bool = False
    is_exact: bool = True


def views_for(num_dimensions: int, has_labels: bool) -> tuple[ViewRecord, ...]:
    """The views that a latent space of so many dimensions offers, in the order of a menu."""
    return tuple(
        record
        for record in VIEWS
        if record.least_dimensions <= num_dimensions
        and (record.most_dimensions is None or num_dimensions <= record.most_dimensions)
        and (has_labels or "labels" not in record.needs)
    )


def first_choice(num_dimensions: int) -> ViewChoice | None:
    """What a latent space of so many dimensions is first shown in; None for a model without latent points."""
    if num_dimensions == 0:
        return None
    return ViewChoice("line") if num_dimensions == 1 else ViewChoice("dimensions")


def more_informative(choice: ViewChoice, kl_D: NDArray[np.floating[Any]]) -> ViewChoice:
    """Of a choice of two dimensions one that carries little (half of the KL of the best, in nats) gives way to the two
    that carry most; every other choice stays.
    """
    if choice.name != "dimensions" or len(kl_D) < 3 or not np.isfinite(kl_D).all():
        return choice
    best = np.sort(np.argsort(kl_D)[-2:])
    if kl_D[[choice.i, choice.j]].min() >= 0.5 * kl_D[best].min():
        return choice
    return replace(choice, i=int(best[0]), j=int(best[1]))


def build_view(choice: ViewChoice, data: FitData, last: View | None = None) -> View:
    """The view of this choice; raises UserError where it cannot be made for these codes."""
    record = VIEWS[choice.name]
    num_dimensions = _num_dimensions(data)
    most = record.most_dimensions
    if num_dimensions < record.least_dimensions or (most is not None and num_dimensions > most):
        raise UserError(
            f"The view “{record.title}” is not for a latent space of {_dimensions(num_dimensions)}.",
            "Choose one of the views that the list offers.",
        )
    return record.build(choice, data, last)


def _line(_choice: ViewChoice, _data: FitData, _last: View | None) -> View:
    return LineView()


def _of_dimensions(choice: ViewChoice, data: FitData, _last: View | None) -> View:
    _check_pair(choice, data)
    return PlaneView.of_dimensions(choice.i, choice.j, _anchor(choice, data))


def _pca(choice: ViewChoice, data: FitData, last: View | None) -> View:
    locked = _plane(choice.locked, data)
    return locked if locked is not None else pca_plane(data.codes_ND, _plane(last, data))


def _lda(choice: ViewChoice, data: FitData, last: View | None) -> View:
    locked = _plane(choice.locked, data)
    if locked is not None:
        return locked
    if data.labels_N is None or len(data.labels_N) != len(data.codes_ND):
        raise UserError(
            "The LDA view sets classes apart, and this data set has no labels.", "Choose the PCA view instead."
        )  # fmt: skip
    return lda_plane(data.codes_ND, data.labels_N, _plane(last, data))


def _directions(choice: ViewChoice, data: FitData, _last: View | None) -> View:
    directions_2D = _vectors(choice.directions, 2, "direction", data)
    return plane_of_directions(_anchor(choice, data), directions_2D[0], directions_2D[1], choice.direction_names)


def _three_points(choice: ViewChoice, data: FitData, _last: View | None) -> View:
    return plane_through_points(_vectors(choice.points, 3, "point", data))


def _sphere(choice: ViewChoice, data: FitData, _last: View | None) -> View:
    """Around three points, or without any around the axes of dimensions i, j and the first other one after them.

    Points that lie in one plane with the origin get a latent axis as their third direction (`independent_directions`).
    """
    if choice.points:
        return SphereView.through(independent_directions(_vectors(choice.points, 3, "point", data)))
    _check_pair(choice, data)
    num_dimensions = _num_dimensions(data)
    after_j = ((choice.j + step) % num_dimensions for step in range(1, num_dimensions))
    third = next(dimension for dimension in after_j if dimension != choice.i)
    return SphereView.through(np.eye(num_dimensions)[[choice.i, choice.j, third]])


def _inverse_cdf(choice: ViewChoice, data: FitData, _last: View | None) -> View:
    _check_pair(choice, data)
    return InverseCdfView.of_dimensions(choice.i, choice.j, _anchor(choice, data))


def _tour(choice: ViewChoice, data: FitData, _last: View | None) -> View:
    return tour_view(choice.seed, 0.0, _num_dimensions(data), _anchor(choice, data))


def _num_dimensions(data: FitData) -> int:
    return int(data.codes_ND.shape[1])


def _dimensions(number: int) -> str:
    return "1 dimension" if number == 1 else f"{number} dimensions"


def _plane(last: View | None, data: FitData) -> PlaneView | None:
    return last if isinstance(last, PlaneView) and last.num_dimensions == _num_dimensions(data) else None


def _check_pair(choice: ViewChoice, data: FitData) -> None:
    num_dimensions = _num_dimensions(data)
    if choice.i == choice.j or not (0 <= choice.i < num_dimensions and 0 <= choice.j < num_dimensions):
        raise UserError(
            f"Dimensions {choice.i + 1} and {choice.j + 1} span no plane of a space of {_dimensions(num_dimensions)}.",
            "Choose two different dimensions.",
        )


def _anchor(choice: ViewChoice, data: FitData) -> Float64:
    num_dimensions = _num_dimensions(data)
    if not choice.anchor:
        return np.zeros(num_dimensions)
    return _vectors((choice.anchor,), 1, "anchor", data).reshape(num_dimensions)


def _vectors(vectors: tuple[tuple[float, ...], ...], number: int, word: str, data: FitData) -> Float64:
    """The vectors as rows; raises UserError where they are not so many, not finite or of another space."""
    num_dimensions = _num_dimensions(data)
    if len(vectors) != number:
        raise UserError(
            f"This view needs {number} {word}s, and {len(vectors)} are there.", f"Choose {number} {word}s."
        )  # fmt: skip
    if any(len(vector) != num_dimensions for vector in vectors):
        raise UserError(
            f"The chosen {word} does not belong to this latent space of {_dimensions(num_dimensions)}.",
            f"Choose the {word} again.",
        )
    rows = np.array(vectors, dtype=np.float64)
    if not np.isfinite(rows).all():
        raise UserError(f"The chosen {word} is not finite.", f"Choose another {word}.")
    return rows


VIEWS: Registry[ViewRecord] = Registry("view")

for _record in (
    ViewRecord(
        "line", "Line", "The whole space of a model with one latent dimension; height means nothing.",
        "x is z itself", _line, 1, most_dimensions=1,
    ),
    ViewRecord(
        "dimensions", "Two dimensions", "Two latent coordinates; the others stay at the anchor.",
        "Kingma, Welling: Auto-Encoding Variational Bayes, arXiv 1312.6114", _of_dimensions, 2,
    ),
    ViewRecord(
        "pca", "PCA plane", "The plane in which the codes vary most, with its share of their variance.",
        "Pearson: On lines and planes of closest fit to systems of points in space, 1901", _pca, 2, is_fitted=True,
    ),
    ViewRecord(
        "lda", "LDA plane", "The plane in which the classes are farthest apart for their width.",
        "Fisher: The use of multiple measurements in taxonomic problems, 1936", _lda, 2,
        needs=frozenset({"labels"}), is_fitted=True,
    ),
    ViewRecord(
        "directions", "Two directions", "The plane of two attribute directions through the anchor.",
        "Larsen et al.: Autoencoding beyond pixels using a learned similarity metric, arXiv 1512.09300",
        _directions, 2, needs=frozenset({"two directions"}),
    ),
    ViewRecord(
        "three-points", "Through three points", "The plane through three picked points, each shown where it truly is.",
        "Gram-Schmidt of the differences", _three_points, 3, needs=frozenset({"three points"}),
    ),
    ViewRecord(
        "sphere", "Spherical slice",
        "Part of the shell of radius √d, where most of the prior's mass is, around three pins or latent axes.",
        "White: Sampling generative networks, arXiv 1609.04468", _sphere, 3,
    ),
    ViewRecord(
        "inverse-cdf", "Inverse-CDF square", "The prior's quantiles: equal areas hold equal prior mass.",
        "Kingma, Welling: Auto-Encoding Variational Bayes, arXiv 1312.6114, figure 4", _inverse_cdf, 2,
    ),
    ViewRecord(
        "tour", "Grand tour", "A plane that turns slowly through the whole space.",
        "Asimov: The grand tour, SIAM J. Sci. Stat. Comput. 6(1), 1985", _tour, 3,
    ),
):  # fmt: skip
    VIEWS.add(_record)
