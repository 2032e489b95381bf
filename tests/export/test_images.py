from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.runs.failing_calls import fail_call
from tests.tiny_runs import make_trainer, tiny_config
from vae_explorer.datasets.image_dataset import load_dataset
from vae_explorer.datasets.protocols import apply_protocol
from vae_explorer.errors import FileError, UserError
from vae_explorer.export.images import (
    BACKGROUND,
    GRID_KINDS,
    GridSpec,
    compose,
    manifold_latents,
    png_bytes,
    png_text,
    render_grid,
    save_png,
    traversal_latents,
)
from vae_explorer.models.building import build_model
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.interface import LatentModel
from vae_explorer.models.vqvae_config import VQVAEConfig


@pytest.fixture
def model() -> LatentModel:
    return make_trainer(tiny_config()).model.eval()


@pytest.fixture
def pictures() -> torch.Tensor:
    dataset = load_dataset("tiny", 40)
    return apply_protocol("grey", dataset.images.gather(dataset.heldout_index_N))


def bytes_of(picture_CHW: torch.Tensor) -> np.ndarray:
    return (picture_CHW * 255).round().to(torch.uint8).numpy()[0]


@pytest.mark.parametrize("kind", list(GRID_KINDS))
def test_the_same_seed_gives_the_same_pixels_and_nothing_else_moves(
    kind: str, model: LatentModel, pictures: torch.Tensor
) -> None:
    spec = GridSpec(rows=3, columns=4, seed=5)
    before = torch.random.get_rng_state()
    first = render_grid(kind, model, spec, pictures)
    assert np.array_equal(first, render_grid(kind, model, spec, pictures))
    assert torch.equal(before, torch.random.get_rng_state())
    other = render_grid(kind, model, GridSpec(rows=3, columns=4, seed=6), pictures)
    assert np.array_equal(first, other) == (kind in {"manifold", "traversals"}), "those two draw nothing"
    lines = {"reconstructions": 6, "traversals": 2}.get(kind, 3)
    assert first.shape == (lines * 16 + (lines + 1) * 2, 4 * 16 + 5 * 2)
    assert first.dtype == np.uint8


def test_rows_columns_spacing_and_scale_are_where_they_should_be() -> None:
    levels = torch.arange(6, dtype=torch.float32).reshape(2, 3, 1, 1, 1).expand(2, 3, 1, 2, 2) / 255
    grid = compose(levels, GridSpec(rows=2, columns=3, spacing=3, scale=2))
    assert grid.shape == (2 * 4 + 3 * 3, 3 * 4 + 4 * 3)
    for row in range(2):
        for column in range(3):
            top, left = 3 + row * 7, 3 + column * 7
            assert (grid[top : top + 4, left : left + 4] == row * 3 + column).all()
    assert (grid == BACKGROUND).sum() == grid.size - 6 * 16
    assert compose(levels, GridSpec(rows=2, columns=3, spacing=0, scale=1)).shape == (4, 6)
    colour = compose(torch.rand(2, 2, 3, 4, 4), GridSpec(rows=2, columns=2))
    assert colour.shape == (2 * 8 + 6, 2 * 8 + 6, 3)


def test_the_manifold_is_figure_four() -> None:
    """Cell centres of the unit square through the inverse CDF; x to the right, y upwards."""
    z = manifold_latents(GridSpec(rows=4, columns=2), 2).reshape(4, 2, 2)
    right = torch.distributions.Normal(0.0, 1.0).cdf(z[..., 0])
    up = torch.distributions.Normal(0.0, 1.0).cdf(z[..., 1])
    torch.testing.assert_close(right, torch.tensor([[0.25, 0.75]]).expand(4, 2))
    torch.testing.assert_close(up, torch.tensor([[0.875], [0.625], [0.375], [0.125]]).expand(4, 2))
    assert (manifold_latents(GridSpec(rows=2, columns=2), 5)[:, 2:] == 0).all()
    assert manifold_latents(GridSpec(rows=2, columns=3), 1).shape == (6, 1)


def test_a_traversal_moves_one_dimension_a_row() -> None:
    z = traversal_latents(GridSpec(rows=8, columns=5), 3).reshape(3, 5, 3)
    for j in range(3):
        assert z[j, :, j].tolist() == [-3.0, -1.5, 0.0, 1.5, 3.0]
        assert (np.delete(z[j].numpy(), j, axis=1) == 0).all()


def test_originals_stand_above_their_reconstructions(model: LatentModel, pictures: torch.Tensor) -> None:
    spec = GridSpec(rows=2, columns=3, spacing=0, scale=1, seed=1)
    grid = render_grid("reconstructions", model, spec, pictures)
    cells = grid.reshape(4, 8, 3, 8).transpose(0, 2, 1, 3)
    known = {bytes_of(picture).tobytes(): picture for picture in pictures}
    shown = set()
    for row in (0, 2):
        for column in range(3):
            original = known[cells[row, column].tobytes()]
            shown.add(cells[row, column].tobytes())
            with torch.inference_mode():
                expected = model.decode(model.encode(original[None]).mean).mean_BCHW[0]
            assert np.abs(cells[row + 1, column].astype(int) - bytes_of(expected).astype(int)).max() <= 1
    assert len(shown) == 6


def test_a_path_begins_and_ends_at_two_images(model: LatentModel, pictures: torch.Tensor) -> None:
    grid = render_grid("interpolation", model, GridSpec(rows=1, columns=5, spacing=0, scale=1), pictures[:2])
    with torch.inference_mode():
        ends = [bytes_of(picture).astype(int) for picture in model.decode(model.encode(pictures[:2]).mean).mean_BCHW]
    found = [grid[:, :8].astype(int), grid[:, -8:].astype(int)]
    distance = min(max(np.abs(a - b).max() for a, b in zip(found, order, strict=True)) for order in (ends, ends[::-1]))
    assert distance <= 1
    assert render_grid("interpolation", model, GridSpec(rows=2, columns=3)).ndim == 2, "without images, from the prior"


def test_more_cells_than_images_show_some_again(model: LatentModel, pictures: torch.Tensor) -> None:
    spec = GridSpec(rows=2, columns=4, spacing=0, scale=1)
    grid = render_grid("reconstructions", model, spec, pictures[:3])
    assert grid.shape == (32, 32)


@pytest.mark.parametrize("name", ["grid.png", "мои картинки – ñ.PNG"])
def test_a_saved_grid_comes_back_with_its_text(tmp_path: Path, model: LatentModel, name: str) -> None:
    pixels = render_grid("prior", model, GridSpec(seed=3))
    text = png_text("запуск 1", "vae", 1234, 3, "prior")
    save_png(tmp_path / name, pixels, text)
    with Image.open(tmp_path / name) as image:
        assert image.text == {"run": "запуск 1", "model": "vae", "step": "1234", "seed": "3", "kind": "prior"}
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), pixels)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_plain_text_is_in_plain_chunks_and_colour_stays() -> None:
    pixels = np.random.RandomState(0).randint(0, 256, size=(5, 7, 3), dtype=np.uint8)
    content = png_bytes(pixels, png_text("run", "vae", 1, 2, "prior"))
    assert b"tEXtrun\x00run" in content
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(np.asarray(image), pixels)


def test_what_cannot_be_made_or_saved_is_one_sentence(
    tmp_path: Path, model: LatentModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="no kind of grid named 'priors'") as caught:
        render_grid("priors", model, GridSpec())
    assert "'prior'" in caught.value.hint
    with pytest.raises(UserError, match="needs images"):
        render_grid("reconstructions", model, GridSpec())
    with pytest.raises(UserError, match="cannot have rows 0"):
        GridSpec(rows=0)
    with pytest.raises(UserError, match="is too large"):
        render_grid("prior", model, GridSpec(rows=100, columns=100, scale=32))
    pixels = np.zeros((2, 2), dtype=np.uint8)
    with pytest.raises(FileError, match=r"does not end in \.png"):
        save_png(tmp_path / "grid.jpg", pixels, {})
    save_png(tmp_path / "grid.png", pixels, {})
    before = (tmp_path / "grid.png").read_bytes()
    fail_call(monkeypatch, 2)
    with pytest.raises(FileError, match="the disk is full"):
        save_png(tmp_path / "grid.png", pixels + 9, {})
    assert (tmp_path / "grid.png").read_bytes() == before


@pytest.mark.parametrize("kind", ["manifold", "traversals", "interpolation"])
def test_a_model_of_code_grids_has_no_grids_of_points(kind: str) -> None:
    config = VQVAEConfig(num_codes=4, body_channels=4, prior_channels=4, prior_layers=1)
    model = build_model("vqvae", config, DataSpace((1, 8, 8))).eval()
    images_NCHW, spec = torch.rand(6, 1, 8, 8), GridSpec(rows=2, columns=3)
    with pytest.raises(UserError, match="needs latent points"):
        render_grid(kind, model, spec, images_NCHW)
    for possible, given in (("prior", None), ("reconstructions", images_NCHW)):
        assert render_grid(possible, model, spec, given).dtype == np.uint8
