"""What the exploring thread draws for the latent map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from vae_explorer.gui.widgets.map_frame import bulk_of

if TYPE_CHECKING:
    from vae_explorer.latent.code_layer import CodePicture, CodeRequest
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.manifold import ManifoldPicture, ManifoldRequest

_MOST_FITTED = 6_000  # quantiles of so many codes are as good as those of all


def draw_codes(explorer: Explorer, request: CodeRequest) -> CodePicture | None:
    """The codes in a part of the plane; `extent` is never less than +-3, except before the first step.

    The codes of an untrained net are a dot inside the prior: then the extent is the dot, so that it is shown large.
    """
    picture = explorer.code_layer.picture(explorer, request)
    codes_ND = explorer.codes()
    if picture is None or codes_ND is None or explorer.snapshot is None or explorer.snapshot.step > 0:
        return picture
    extent = bulk_of(request.view.place(codes_ND[:: len(codes_ND) // _MOST_FITTED + 1]))
    return picture if extent is None else replace(picture, extent=extent)


def draw_manifold(explorer: Explorer, request: ManifoldRequest) -> Iterator[ManifoldPicture | None]:
    """The decoded manifold in a part of the plane, coarse first."""
    yield from explorer.manifold.pictures(explorer, request)
