"""A model with a codebook looked at: its codes in a plane, what one code paints, and a grid of codes to edit.

Free of torch until something is looked at. Legend: K codes, R rows and W columns of a code grid.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from vae_explorer.latent.explorer import Explorer

UInt8 = NDArray[np.uint8]
Edit = tuple[int, int, int]  # row, column, code

MOST_COUNTED = 2000
"""Images whose grids are counted for the use of codes: some 100,000 cells of 7 x 7."""

COLDEST, HOTTEST = 0.1, 2.0
"""Between which temperatures of the prior a person may choose."""

_COUNTED_TOGETHER = 250


@dataclass(frozen=True, slots=True)
class GridChoice:
    """Which grid is looked at, without its numbers, which are worked out with the newest weights each time.

    The grid of `item`, or where that is None a draw of the prior by `seed` at `temperature`; then the cells of `edits`
    have other codes.
    """

    item: int | None = None
    seed: int = 0
    temperature: float = 1.0
    edits: tuple[Edit, ...] = ()

    def with_code(self, row: int, column: int, code: int | None) -> GridChoice:
        """The choice with another code in a cell; None gives back the cell's own."""
        others = tuple(edit for edit in self.edits if edit[:2] != (row, column))
        return dataclasses.replace(self, edits=others if code is None else (*others, (row, column, code)))


@dataclass(frozen=True, slots=True, eq=False)
class CodebookLook:
    """The codes in the plane of their two largest principal components, and how they are used.

    `share_K` is each code's part of the cells of `num_images` images (`is_heldout`: which no training step saw);
    `explained` the part of the codes' variance in the plane; `perplexity` that of `share_K`.
    """

    places_K2: NDArray[np.float64]
    share_K: NDArray[np.float64]
    explained: float
    perplexity: float
    num_dead: int
    num_images: int
    is_heldout: bool
    grid_shape: tuple[int, int]
    step: int


@dataclass(frozen=True, slots=True, eq=False)
class CodePainting:
    """What one code paints: a whole grid of it decoded, and of that picture the cell in the middle."""

    code: int
    picture: UInt8
    patch: UInt8


@dataclass(frozen=True, slots=True, eq=False)
class GridLook:
    """A grid before and after its edits, both decoded, and how much they differ.

    `difference` is |after - before| from 0 to 255. Costs are -log p(k) under the model's prior as it is, in nats.
    """

    choice: GridChoice
    own_RW: NDArray[np.int64]
    cells_RW: NDArray[np.int64]
    before: UInt8
    after: UInt8
    difference: UInt8
    own_cost: float
    cost: float
    uniform_cost: float
    num_codes: int
    step: int


def look_at_codebook(explorer: Explorer) -> Generator[CodebookLook | None, None, None]:
    """Count the use of the codes and lay them out, in short steps. Raises UserError without a codebook or images."""
    import torch

    from vae_explorer.models.codebook import DEAD_SHARE, code_counts, perplexity

    codes_KD = codebook_of(explorer)
    dataset, space = explorer.dataset, explorer.network.latent_space
    if dataset is None:
        raise UserError("The images are not loaded yet.", "Wait until the data set has been read.")
    is_heldout = len(dataset.heldout_index_N) > 0
    index_N = (dataset.heldout_index_N if is_heldout else dataset.train_index_N)[:MOST_COUNTED].cpu().numpy()
    counts_K = np.zeros(space.num_codes)
    for start in range(0, len(index_N), _COUNTED_TOGETHER):
        with torch.inference_mode():
            grid_BRW = _encoded(explorer, index_N[start : start + _COUNTED_TOGETHER])
            counts_K += code_counts(grid_BRW, space.num_codes).double().cpu().numpy()
        yield None
    share_K = counts_K / counts_K.sum()
    places_K2, explained = _principal_plane(explorer, codes_KD)
    assert explorer.snapshot is not None
    yield CodebookLook(
        places_K2, share_K, explained, float(perplexity(torch.from_numpy(counts_K))),
        int((share_K <= DEAD_SHARE).sum()), len(index_N), is_heldout, (space.shape[0], space.shape[1]),
        explorer.snapshot.step,
    )  # fmt: skip


def paint_code(explorer: Explorer, code: int) -> CodePainting:
    """Decode a grid that is this code everywhere. Raises UserError without a codebook, or without this code."""
    import torch

    from vae_explorer.latent.explorer import as_pictures

    num_codes = len(codebook_of(explorer))
    if not 0 <= code < num_codes:
        raise UserError(f"This codebook has no code {code}.", f"Choose one from 0 to {num_codes - 1}.")
    rows, columns = explorer.network.latent_space.shape
    with torch.inference_mode():
        grid_BRW = torch.full((1, rows, columns), code, dtype=torch.int64, device=explorer.device)
        picture = as_pictures(explorer.network.decode(grid_BRW).mean_BCHW)[0]
    top, bottom = _cell_edges(picture.shape[0], rows, rows // 2)
    left, right = _cell_edges(picture.shape[1], columns, columns // 2)
    return CodePainting(code, picture, picture[top:bottom, left:right].copy())


def look_at_grid(explorer: Explorer, choice: GridChoice) -> GridLook:
    """Work out the grid and decode it before and after its edits; edits that this model has no place for are left out.

    Raises UserError without a codebook, and without the image.
    """
    import torch

    from vae_explorer.latent.explorer import as_pictures

    num_codes, model = len(codebook_of(explorer)), explorer.network
    rows, columns = model.latent_space.shape
    with torch.inference_mode():
        own_BRW = _own_grid(explorer, choice)
        cells_BRW = own_BRW.clone()
        for row, column, code in choice.edits:
            if row < rows and column < columns and code < num_codes:
                cells_BRW[0, row, column] = code
        both = torch.cat((own_BRW, cells_BRW))
        before, after = as_pictures(model.decode(both).mean_BCHW)
        own_cost, cost = (-model.log_prior(both)).double().tolist()
    difference = np.abs(after.astype(np.int16) - before.astype(np.int16)).astype(np.uint8)
    assert explorer.snapshot is not None
    return GridLook(
        choice, own_BRW[0].cpu().numpy(), cells_BRW[0].cpu().numpy(), before, after, difference, own_cost, cost,
        rows * columns * float(np.log(num_codes)), num_codes, explorer.snapshot.step,
    )  # fmt: skip


def codebook_of(explorer: Explorer) -> NDArray[np.float64]:
    """The codes (K, D). Raises UserError for a model without them."""
    if not explorer.record.has_codebook:
        raise UserError(f"The model “{explorer.record.title}” has no codebook.", "Choose the VQ-VAE.")
    codes_KD: Tensor = explorer.network.codebook.codes_KD  # type: ignore[union-attr,assignment]
    return codes_KD.double().cpu().numpy()


def _own_grid(explorer: Explorer, choice: GridChoice) -> Tensor:
    import torch

    if choice.item is not None:
        dataset = explorer.dataset
        if dataset is not None and choice.item >= dataset.images.num_images:
            raise UserError("There is no such image in this data set.", "Choose one with a smaller number.")
        return _encoded(explorer, np.array([choice.item]))
    generator = torch.Generator(explorer.device).manual_seed(choice.seed)
    model: Any = explorer.network  # a model with a codebook draws at a temperature
    grid_BRW: Tensor = model.sample_prior(1, generator, temperature=choice.temperature)
    return grid_BRW


def _encoded(explorer: Explorer, index_N: NDArray[np.int64]) -> Tensor:
    grid_BRW = explorer.network.encode(explorer.seen(index_N)).mean
    assert not isinstance(grid_BRW, tuple)
    return grid_BRW


def _cell_edges(pixels: int, cells: int, cell: int) -> tuple[int, int]:
    """First pixel of a cell and the one after its last; at least one pixel."""
    first = min(cell * pixels // cells, pixels - 1)
    return first, max(first + 1, (cell + 1) * pixels // cells)


def _principal_plane(explorer: Explorer, codes_KD: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Codes in their plane, turned so that they stay where the last look of this run had them, and its share."""
    finite_KD = np.nan_to_num(codes_KD - codes_KD.mean(axis=0), nan=0.0, posinf=0.0, neginf=0.0)
    _, sizes, axes_MD = np.linalg.svd(finite_KD, full_matrices=False)
    axes_2D = np.zeros((2, codes_KD.shape[1]))
    axes_2D[: min(2, len(axes_MD))] = axes_MD[:2]
    last_2D = explorer.lasting.get("codebook plane")
    if last_2D is not None and last_2D.shape == axes_2D.shape:
        left, _, right = np.linalg.svd(last_2D @ axes_2D.T)
        axes_2D = (left @ right) @ axes_2D
    explorer.lasting["codebook plane"] = axes_2D
    total = float(np.square(sizes).sum())
    return finite_KD @ axes_2D.T, float(np.square(sizes[:2]).sum()) / total if total > 0 else 0.0
