"""The view that the map shows: made of what is chosen, and turned for moments of the past."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vae_explorer.latent.alignment import turned_view
from vae_explorer.latent.view_catalogue import VIEWS, FitData, build_view
from vae_explorer.latent.views import PlaneView

if TYPE_CHECKING:
    from vae_explorer.latent.view_catalogue import ViewChoice
    from vae_explorer.latent.views import View
    from vae_explorer.models.snapshot import Snapshot


class ShownView:
    """`view` is what is shown, `straight` the same before it is turned; None before there is a latent space."""

    def __init__(self) -> None:
        self.view: View | None = None
        self.straight: View | None = None
        self._choice: ViewChoice | None = None
        self._prepared: tuple[ViewChoice, View | None] | None = None
        self._rotation_DD: np.ndarray | None = None

    def forget(self) -> None:
        """The latent space is another one."""
        self.view = None

    def prepare(self, choice: ViewChoice, view: View | None) -> None:
        """Keep this view of a choice that is about to be shown."""
        self._prepared = choice, view

    def take_prepared(self, choice: ViewChoice | None) -> tuple[bool, View | None]:
        """Whether the view of this choice was prepared, and that view; kept for one call only."""
        prepared, self._prepared = self._prepared, None
        is_it = prepared is not None and prepared[0] == choice
        return is_it, prepared[1] if prepared is not None and is_it else None

    def built(self, choice: ViewChoice, snapshot: Snapshot, labels_N: np.ndarray | None) -> View | None:
        """The view of a choice; one that follows the codes stays as it was fitted last. Raises UserError."""
        is_fitted = VIEWS[choice.name].is_fitted
        if is_fitted and choice.locked is None and self._choice is not None and _unlocked(self._choice) == choice:
            return self.straight
        codes_ND = snapshot.codes_ND
        assert codes_ND is not None
        codes = codes_ND.detach().cpu().numpy() if is_fitted else np.zeros((1, codes_ND.shape[1]), np.float32)
        return build_view(choice, FitData(codes, labels_N))

    def show(self, view: View | None, choice: ViewChoice | None) -> bool:
        """Show this view of a choice, turned; whether that is another one than before."""
        self.straight, self._choice = view, choice
        if view is not None and choice is not None:
            view = turned_as_chosen(view, choice, self._rotation_DD)
        is_other = view != self.view
        self.view = view
        return is_other

    def turn(self, rotation_DD: np.ndarray | None) -> bool:
        """Show it turned by this rotation of the latent space, or straight; whether that changed anything."""
        self._rotation_DD = rotation_DD
        return self.show(self.straight, self._choice)


def turned_as_chosen(view: View, choice: ViewChoice, rotation_DD: np.ndarray | None) -> View:
    """The view turned by a rotation of the latent space, with primes at its axes; as it is where it is no plane, or one
    that is fitted to the codes and so follows them by itself.
    """
    if rotation_DD is None or not isinstance(view, PlaneView) or len(rotation_DD) != view.num_dimensions:
        return view
    is_fitted = VIEWS[choice.name].is_fitted and choice.locked is None
    if is_fitted or np.allclose(rotation_DD, np.eye(len(rotation_DD))):
        return view
    x, y = view.axis_labels
    return replace(turned_view(view, rotation_DD), axis_labels=(f"{x}′", f"{y}′"))


def _unlocked(choice: ViewChoice) -> ViewChoice:
    return replace(choice, locked=None)
