"""Grids of pictures from a model, and PNG files that say where they come from.

Every grid has a generator of its own, so that saving one changes nothing else, and the same seed gives the same pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import torch

from vae_explorer.errors import FileError, UserError, nearest_hint
from vae_explorer.latent.point_pictures import drawn
from vae_explorer.models.ex_post_density import fit_ex_post_density
from vae_explorer.runs import files
from vae_explorer.runs.png import png_bytes

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.models.interface import LatentModel
    from vae_explorer.models.record import ModelRecord

GridKind = Literal["prior", "reconstructions", "traversals", "manifold", "interpolation"]

GRID_KINDS: dict[str, str] = {
    "prior": "Samples: decoded draws from the prior; without one, from a density fitted to the codes (ex-post).",
    "reconstructions": "Originals, each row of them above its reconstructions from the posterior mean.",
    "traversals": "One latent dimension a row, from -3 to 3, the others at 0.",
    "manifold": "The unit square through the Gaussian inverse CDF, decoded (AEVB, figure 4).",
    "interpolation": "Straight paths between the codes of two images, or between two draws from the prior.",
}
"""Each kind of grid with one sentence."""

NEEDS_IMAGES = frozenset({"reconstructions"})


def needs_images(kind: str, record: ModelRecord) -> bool:
    """Whether a grid of this kind is made of images: themselves, a part of them, or a density fitted to their codes."""
    return kind in NEEDS_IMAGES or record.condition == "part" or (kind == "prior" and record.samples_ex_post)


@dataclass(frozen=True, slots=True, eq=False)
class GridConditions:
    """What a model with a condition is told: the rows in turn (K, ...), and of each image its own (N, ...) or None."""

    rows: Tensor
    own: Tensor | None = None

    def of_rows(self, spec: GridSpec, rows: int) -> Tensor:
        """The conditions of `rows` rows of cells, (rows * columns, ...)."""
        index = torch.arange(rows, device=self.rows.device) % len(self.rows)
        return self.rows[index].repeat_interleave(spec.columns, dim=0)


def grid_conditions(
    record: ModelRecord,
    model: LatentModel,
    num_classes: int,
    images_NCHW: Tensor | None = None,
    labels_N: Tensor | None = None,
    told: Tensor | int | None = None,
) -> GridConditions | None:
    """What a grid's model is told; None for a model without condition.

    A row a class, or all rows the class `told`; a row an image whose part is given, or all rows the part `told`
    (1, C, H, W). Raises UserError for a class that is not there, or where the model is told none.
    """
    if record.condition != "class" and isinstance(told, int):
        raise UserError(
            f"The model “{record.title}” is not told a class.",
            "Leave the class out, or choose a run of the model cvae.",
        )
    if record.condition == "class":
        device = next(model.parameters()).device
        if told is None:
            return GridConditions(torch.arange(num_classes, device=device), labels_N)
        assert isinstance(told, int)
        if not 0 <= told < num_classes:
            raise UserError(f"There is no class {told}.", f"Choose a number from 0 to {num_classes - 1}.")
        return GridConditions(torch.tensor([told], device=device), labels_N)
    if record.condition == "part":
        own = None if images_NCHW is None else model.condition_of(images_NCHW, None)
        rows = told if told is not None else own
        assert not isinstance(rows, int)
        if rows is None:
            raise UserError("The part that is given is one of an image.", "Choose a run whose data set is here.")
        return GridConditions(rows, own)
    return None


TRAVERSAL_REACH = 3.0
BACKGROUND = 255  # grey level between the cells: the pictures stand as on paper, also when theirs are black
MAXIMUM_PIXELS = 64_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GridSpec:
    """How a grid is laid out. `spacing` and `scale` are in pixels: of the file, and file pixels a picture pixel."""

    rows: int = 8
    columns: int = 8
    spacing: int = 2
    scale: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {"rows": (1, 200), "columns": (1, 200), "spacing": (0, 100), "scale": (1, 32), "seed": (0, 2**31 - 1)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise UserError(
                    f"A grid cannot have {name} {getattr(self, name)}.", f"Choose a number from {low} to {high}."
                )


def render_grid(
    kind: str,
    model: LatentModel,
    spec: GridSpec,
    images_NCHW: Tensor | None = None,
    conditions: GridConditions | None = None,
) -> np.ndarray:
    """The grid as uint8 of shape (height, width) for grey pictures, (height, width, 3) for colour.

    `images_NCHW` are the pictures to reconstruct or to go between, float in [0, 1] on the model's device; `seed` says
    which of them are shown. With images, samples are ex-post: from a density fitted to their codes. A model with a
    condition is told `conditions`: samples and paths row by row, traversals and the manifold all cells that of the
    first row, images their own. The model is in evaluation mode; for `manifold` with more than two latent dimensions
    the first two vary and the others stay at 0.
    Raises UserError for an unknown kind, one that this model has no latent points for, or a grid too large.
    """
    if kind not in GRID_KINDS:
        raise UserError(f"There is no kind of grid named '{kind}'.", nearest_hint(kind, GRID_KINDS))
    if kind in NEEDS_IMAGES and (images_NCHW is None or len(images_NCHW) == 0):
        raise UserError(f"A grid of {kind} needs images.", "Choose a run whose data set is here, or another kind.")
    if kind not in {"prior", "reconstructions"} and model.latent_space.dimensions == 0:
        raise UserError(
            f"A grid of kind '{kind}' needs latent points in R^d, and this model has none.",
            "Choose the kind prior or reconstructions.",
        )
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(spec.seed)
    with torch.inference_mode():
        if kind == "reconstructions":
            assert images_NCHW is not None
            return compose(_reconstructions(model, spec, images_NCHW, generator, conditions), spec)
        told = None if conditions is None else conditions.of_rows(spec, spec.rows)
        if kind == "prior" and images_NCHW is not None and conditions is None:
            codes_ND = torch.cat([cast("Tensor", model.encode(x_BCHW).mean) for x_BCHW in images_NCHW.split(1000)])
            z_ND = fit_ex_post_density(codes_ND).sample(spec.rows * spec.columns, generator)
        elif kind == "prior":
            z_ND = cast("Tensor", model.sample_prior(spec.rows * spec.columns, generator, told))
        elif kind == "interpolation":
            z_ND = _paths(model, spec, images_NCHW, generator, conditions)
        else:
            grid = traversal_latents if kind == "traversals" else manifold_latents
            z_ND = grid(spec, model.latent_space.dimensions).to(device)
            if conditions is not None:
                told = conditions.rows[:1].expand(len(z_ND), *conditions.rows.shape[1:])
        pictures = model.decode(z_ND, told).mean_BCHW
        return compose(pictures.reshape(-1, spec.columns, *pictures.shape[1:]), spec)


def manifold_latents(spec: GridSpec, dimensions: int) -> Tensor:
    """Latents (rows * columns, D) of figure 4: cell centres of the unit square through the Gaussian inverse CDF.

    The first dimension grows to the right and the second upwards, as on the latent map.
    """
    right = torch.special.ndtri((torch.arange(spec.columns, dtype=torch.float64) + 0.5) / spec.columns)
    up = torch.special.ndtri((torch.arange(spec.rows, dtype=torch.float64).flip(0) + 0.5) / spec.rows)
    z_RCD = torch.zeros(spec.rows, spec.columns, dimensions)
    z_RCD[..., 0] = right.float()
    if dimensions > 1:
        z_RCD[..., 1] = up.float()[:, None]
    return z_RCD.flatten(0, 1)


def traversal_latents(spec: GridSpec, dimensions: int) -> Tensor:
    """Latents (rows * columns, D): row j moves dimension j from -3 to 3; no more rows than dimensions."""
    rows = min(spec.rows, dimensions)
    z_RCD = torch.zeros(rows, spec.columns, dimensions)
    reach = TRAVERSAL_REACH if spec.columns > 1 else 0.0
    for j in range(rows):
        z_RCD[j, :, j] = torch.linspace(-reach, reach, spec.columns)
    return z_RCD.flatten(0, 1)


def compose(pictures_RCCHW: Tensor, spec: GridSpec) -> np.ndarray:
    """Pictures (rows, columns, C, H, W) in [0, 1] as one uint8 picture; raises UserError where that is too large.

    Points of the plane, (rows, columns, 2, 1, 1), are drawn.
    """
    pictures_RCCHW = drawn(pictures_RCCHW.flatten(0, 1)).unflatten(0, pictures_RCCHW.shape[:2])
    rows, columns, channels, height, width = pictures_RCCHW.shape
    cell_height, cell_width = height * spec.scale, width * spec.scale
    total_height = rows * cell_height + (rows + 1) * spec.spacing
    total_width = columns * cell_width + (columns + 1) * spec.spacing
    if total_height * total_width > MAXIMUM_PIXELS:
        raise UserError(
            f"A grid of {total_width:,} x {total_height:,} pixels is too large.",
            "Choose fewer cells or a smaller scale.",
        )
    levels = pictures_RCCHW.detach().clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()
    levels = levels.repeat(spec.scale, axis=3).repeat(spec.scale, axis=4)
    grid = np.full((total_height, total_width, channels), BACKGROUND, dtype=np.uint8)
    for row in range(rows):
        top = spec.spacing + row * (cell_height + spec.spacing)
        for column in range(columns):
            left = spec.spacing + column * (cell_width + spec.spacing)
            grid[top : top + cell_height, left : left + cell_width] = levels[row, column].transpose(1, 2, 0)
    return grid[..., 0] if channels == 1 else grid


def png_text(run: str, model: str, step: int, seed: int, kind: str) -> dict[str, str]:
    """The text chunks of a saved grid: where it comes from and how to make it again."""
    return {"run": run, "model": model, "step": str(step), "seed": str(seed), "kind": kind}


def save_png(path: Path, pixels: np.ndarray, text: Mapping[str, str]) -> None:
    """Write the picture (uint8, (H, W) or (H, W, 3)) with its text chunks, whole or not at all. Raises FileError."""
    if path.suffix.lower() != ".png":
        raise FileError(path, f"{path} does not end in .png.", "Grids are saved as PNG; give the name that ending.")
    files.write_bytes_atomic(path, png_bytes(pixels, text))


def _reconstructions(
    model: LatentModel,
    spec: GridSpec,
    images_NCHW: Tensor,
    generator: torch.Generator,
    conditions: GridConditions | None,
) -> Tensor:
    """(2 * rows, columns, C, H, W): a row of originals, below it their reconstructions, and so on."""
    index_B = _chosen(images_NCHW, spec.rows * spec.columns, generator)
    x_BCHW, own = images_NCHW[index_B], _own(conditions, index_B)
    decoded_BCHW = model.decode(model.encode(x_BCHW, own).mean, own).mean_BCHW
    pairs = torch.stack([x.reshape(spec.rows, spec.columns, *x.shape[1:]) for x in (x_BCHW, decoded_BCHW)], dim=1)
    return pairs.flatten(0, 1)


def _paths(
    model: LatentModel,
    spec: GridSpec,
    images_NCHW: Tensor | None,
    generator: torch.Generator,
    conditions: GridConditions | None,
) -> Tensor:
    """Latents (rows * columns, D): a straight path a row."""
    if images_NCHW is None or len(images_NCHW) == 0:
        told = None if conditions is None else conditions.of_rows(replace(spec, columns=1), 2 * spec.rows)
        ends_ND = cast("Tensor", model.sample_prior(2 * spec.rows, generator, told))
    else:
        index_B = _chosen(images_NCHW, 2 * spec.rows, generator)
        ends_ND = cast("Tensor", model.encode(images_NCHW[index_B], _own(conditions, index_B)).mean)
    begin_RD, end_RD = ends_ND[: spec.rows], ends_ND[spec.rows :]
    share_C = torch.linspace(0, 1, spec.columns, device=ends_ND.device)
    return torch.lerp(begin_RD[:, None], end_RD[:, None], share_C[None, :, None]).flatten(0, 1)


def _chosen(images_NCHW: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """Numbers of `num` of the images by the generator, each once where there are enough, then from the start again."""
    order = torch.randperm(len(images_NCHW), generator=generator, device=images_NCHW.device)
    repeats = -(-num // len(order))
    return order.repeat(repeats)[:num]


def _own(conditions: GridConditions | None, index_B: Tensor) -> Tensor | None:
    return None if conditions is None or conditions.own is None else conditions.own[index_B]
