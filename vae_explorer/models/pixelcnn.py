"""A gated masked PixelCNN: an autoregressive distribution over grids of codes.

van den Oord et al., Conditional Image Generation with PixelCNN Decoders, arXiv:1606.05328, figure 2: a vertical stack
that sees the rows above and a horizontal one that sees the cells to the left, so that no cell is blind to any cell
before it in reading order and none sees itself or what follows. Where others mask weights, kernels here are only as
large as what may be seen, and inputs are shifted.

Legend: B grids, R rows, W columns, C channels, K codes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_explorer.models.networks import full_precision

REACH = 1
"""Rows above and cells to either side that one layer sees."""


def _gated(raw: Tensor) -> Tensor:
    signal, gate = raw.chunk(2, dim=1)
    return torch.tanh(signal) * torch.sigmoid(gate)


class GatedLayer(nn.Module):
    """One layer of both stacks. What it puts out at a cell depends on its input at this cell and before it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.vertical = nn.Conv2d(channels, 2 * channels, (REACH + 1, 2 * REACH + 1))
        self.horizontal = nn.Conv2d(channels, 2 * channels, (1, REACH + 1))
        self.link = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.output = nn.Conv2d(channels, channels, 1)

    def rows(self, above_BCRW: Tensor) -> Tensor:
        """Raw outputs of the vertical stack, (B, 2C, R, W), from R + 1 rows: that before the first, then the rows."""
        raw: Tensor = self.vertical(functional.pad(above_BCRW, (REACH, REACH)))
        return raw

    def cells(self, left_BCRW: Tensor, link_BCRW: Tensor) -> Tensor:
        """What the horizontal stack adds, (B, C, R, W), from W + 1 columns: that before the first, then the columns."""
        added: Tensor = self.output(_gated(self.horizontal(left_BCRW) + link_BCRW))
        return added

    def forward(self, vertical_BCRW: Tensor, horizontal_BCRW: Tensor) -> tuple[Tensor, Tensor]:
        """The vertical stack's output and what the horizontal one adds, for whole grids."""
        raw = self.rows(functional.pad(vertical_BCRW, (0, 0, REACH, 0)))
        return _gated(raw), self.cells(functional.pad(horizontal_BCRW, (REACH, 0)), self.link(raw))


class PixelCNN(nn.Module):
    """p(k) = prod p(k_ij | cells before ij in reading order).

    The last layer starts at zero, so that before any training it is the uniform distribution, to the last bit.
    """

    def __init__(self, num_codes: int, grid_shape: tuple[int, int], channels: int, num_layers: int) -> None:
        super().__init__()
        self.grid_shape = grid_shape
        self.embedding = nn.Embedding(num_codes, channels)
        self.position = nn.Parameter(torch.zeros(channels, *grid_shape))
        self.layers = nn.ModuleList(GatedLayer(channels) for _ in range(num_layers))
        self.last = nn.Conv2d(channels, num_codes, 1)
        self.before_last = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, grid_BRW: Tensor) -> Tensor:
        """Logits of every cell given those before it, float32 (B, K, R, W)."""
        embedded_BCRW = self.embedding(grid_BRW).movedim(-1, 1)
        # Shifted by a row and by a cell: here it is settled that no cell sees itself.
        vertical = functional.pad(embedded_BCRW, (0, 0, 1, 0))[:, :, :-1]
        horizontal = functional.pad(embedded_BCRW, (1, 0))[..., :-1]
        seen = self.position.expand_as(embedded_BCRW)
        for layer in self._gated_layers():
            vertical, added = layer(vertical, horizontal)
            horizontal = seen = seen + added
        return self._logits(seen)

    def log_prob(self, grid_BRW: Tensor) -> Tensor:
        """log p(k), (B,), in nats."""
        return -functional.cross_entropy(self(grid_BRW), grid_BRW, reduction="none").flatten(1).sum(1)

    def sample(self, num: int, generator: torch.Generator | None, temperature: float = 1.0) -> Tensor:
        """Grids drawn cell by cell, int64 (num, R, W), from logits divided by `temperature` (> 0).

        Each layer keeps the last rows and cells it was given, so that all cells together cost about one pass.
        """
        num_rows, num_columns = self.grid_shape
        channels, device = self.embedding.embedding_dim, self.position.device
        layers = self._gated_layers()
        grid_BRW = torch.zeros(num, num_rows, num_columns, dtype=torch.int64, device=device)
        no_row, no_cell = (torch.zeros(num, channels, 1, wide, device=device) for wide in (num_columns, 1))
        given_rows = [deque([no_row] * REACH, REACH + 1) for _ in layers]
        for i in range(num_rows):
            row = self.embedding(grid_BRW[:, i - 1 : i]).movedim(-1, 1) if i else no_row
            links = []
            for layer, given in zip(layers, given_rows, strict=True):
                given.append(row)
                raw = layer.rows(torch.cat(list(given), 2))
                links.append(layer.link(raw))
                row = _gated(raw)
            given_cells = [deque([no_cell] * REACH, REACH + 1) for _ in layers]
            for j in range(num_columns):
                cell = self.embedding(grid_BRW[:, i : i + 1, j - 1 : j]).movedim(-1, 1) if j else no_cell
                seen = self.position[:, i : i + 1, j : j + 1].expand_as(no_cell)
                for layer, given, link in zip(layers, given_cells, links, strict=True):
                    given.append(cell)
                    cell = seen = seen + layer.cells(torch.cat(list(given), 3), link[..., j : j + 1])
                chance_BK = torch.softmax(self._logits(seen)[:, :, 0, 0] / temperature, 1)
                grid_BRW[:, i, j] = torch.multinomial(chance_BK, 1, generator=generator)[:, 0]
        return grid_BRW

    def _logits(self, seen_BCRW: Tensor) -> Tensor:
        return full_precision(self.last(torch.relu(self.before_last(torch.relu(seen_BCRW)))))

    def _gated_layers(self) -> Sequence[GatedLayer]:
        return [layer for layer in self.layers if isinstance(layer, GatedLayer)]
