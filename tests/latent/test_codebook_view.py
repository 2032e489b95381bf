"""What is seen of a codebook: its use, its plane, what a code paints, and a grid before and after edits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vae_explorer.datasets.image_dataset import ImageDataset
from vae_explorer.errors import UserError
from vae_explorer.latent.codebook_view import GridChoice, look_at_codebook, look_at_grid, paint_code
from vae_explorer.latent.explorer import Explorer, as_pictures
from vae_explorer.models.building import build_model
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.snapshot import take_snapshot
from vae_explorer.models.vqvae_config import VQVAEConfig

CONFIG = VQVAEConfig(num_codes=9, code_dimensions=4, body_channels=6, prior_channels=4, prior_layers=1)
SPACE = DataSpace((1, 8, 8), 3, "grey")


def snapshot_of(model, name: str = "vqvae", config: object = CONFIG):
    return take_snapshot(
        model, None, run_name="r", model_name=name, model_config=config, data_space=SPACE, step=5, images_seen=1,
        beta=1.0,
    )  # fmt: skip


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = build_model("vqvae", CONFIG, SPACE).eval().requires_grad_(False)
    for parameter in model.prior.parameters():
        parameter.normal_(std=0.6)
    return model


@pytest.fixture
def explorer(model, tiny_dataset: ImageDataset) -> Explorer:
    explorer = Explorer()
    explorer.show_images(tiny_dataset)
    explorer.adopt(snapshot_of(model))
    return explorer


def looked(explorer: Explorer):
    return [found for found in look_at_codebook(explorer) if found is not None][-1]


def test_use_is_counted_over_the_heldout_images(explorer: Explorer, model, tiny_dataset: ImageDataset) -> None:
    look = looked(explorer)
    x_BCHW = tiny_dataset.images.gather(tiny_dataset.heldout_index_N).float() / 255
    counts_K = torch.bincount(model.encode(x_BCHW).mean.flatten(), minlength=9).double().numpy()
    np.testing.assert_allclose(look.share_K, counts_K / (60 * 4), atol=0.02)  # grey levels scaled in another order
    used_K = look.share_K[look.share_K > 0]
    assert look.perplexity == pytest.approx(float(np.exp(-(used_K * np.log(used_K)).sum())))
    assert look.num_dead == int((look.share_K == 0).sum())
    assert (look.num_images, look.is_heldout, look.grid_shape, look.step) == (60, True, (2, 2), 5)


def test_the_plane_is_that_of_principal_components_and_does_not_flip(explorer: Explorer, model) -> None:
    first = looked(explorer)
    codes_KD = model.codebook.codes_KD.double().numpy()
    variances = np.sort(np.linalg.eigvalsh(np.cov(codes_KD.T)))[::-1]
    assert first.explained == pytest.approx(variances[:2].sum() / variances.sum(), rel=1e-6)
    np.testing.assert_allclose(np.sort(first.places_K2.var(axis=0, ddof=1))[::-1], variances[:2], rtol=1e-5)
    model.codebook.codes_KD.add_(0.01 * torch.randn(9, 4))
    explorer.adopt(snapshot_of(model))
    moved = looked(explorer).places_K2
    assert np.abs(moved - first.places_K2).max() < 0.2
    assert np.abs(first.places_K2).max() > 0.5


def test_a_code_paints_a_grid_of_itself(explorer: Explorer, model) -> None:
    painting = paint_code(explorer, 4)
    expected = as_pictures(model.decode(torch.full((1, 2, 2), 4)).mean_BCHW)[0]
    assert np.array_equal(painting.picture, expected)
    assert np.array_equal(painting.patch, expected[4:8, 4:8])
    with pytest.raises(UserError, match="no code 9"):
        paint_code(explorer, 9)


def test_a_grid_is_decoded_exactly_before_and_after_its_edits(explorer: Explorer, model) -> None:
    own = look_at_grid(explorer, GridChoice(item=3))
    x_BCHW = explorer.seen(np.array([3]))
    grid = model.encode(x_BCHW).mean
    assert np.array_equal(own.own_RW, grid[0].numpy())
    assert np.array_equal(own.cells_RW, own.own_RW)
    assert not own.difference.any()
    assert own.cost == own.own_cost == pytest.approx(-float(model.log_prior(grid)), rel=1e-6)
    code = (int(own.own_RW[1, 0]) + 5) % 9
    edited = look_at_grid(explorer, GridChoice(item=3).with_code(1, 0, code))
    assert edited.cells_RW[1, 0] == code
    assert np.array_equal(edited.own_RW, own.own_RW)
    other = grid.clone()
    other[0, 1, 0] = code
    assert np.array_equal(edited.after, as_pictures(model.decode(other).mean_BCHW)[0])
    assert np.array_equal(edited.before, own.after)
    expected = np.abs(edited.after.astype(int) - edited.before.astype(int))
    assert np.array_equal(edited.difference, expected)
    assert edited.difference.any()
    assert edited.cost == pytest.approx(-float(model.log_prior(other)), rel=1e-6)
    assert edited.uniform_cost == pytest.approx(4 * np.log(9))


def test_a_cell_has_one_edit_and_can_have_its_own_code_back() -> None:
    choice = GridChoice(item=1).with_code(0, 1, 5).with_code(1, 1, 2).with_code(0, 1, 6)
    assert choice.edits == ((1, 1, 2), (0, 1, 6))
    assert choice.with_code(1, 1, None).edits == ((0, 1, 6),)


def test_a_draw_is_of_its_seed_and_temperature(explorer: Explorer, model) -> None:
    draw = look_at_grid(explorer, GridChoice(seed=7, temperature=0.5))
    expected = model.sample_prior(1, torch.Generator().manual_seed(7), temperature=0.5)
    assert np.array_equal(draw.own_RW, expected[0].numpy())
    grids = {look_at_grid(explorer, GridChoice(seed=seed)).own_RW.tobytes() for seed in range(6)}
    assert len(grids) > 1


def test_edits_without_a_place_in_this_model_are_left_out(explorer: Explorer) -> None:
    look = look_at_grid(explorer, GridChoice(item=0, edits=((5, 0, 1), (0, 5, 1), (0, 0, 99))))
    assert np.array_equal(look.cells_RW, look.own_RW)


def test_trouble_is_told_in_sentences(explorer: Explorer) -> None:
    with pytest.raises(UserError, match="no such image"):
        look_at_grid(explorer, GridChoice(item=300))
    vae = build_model("vae", config := type_of_vae(), SPACE)
    explorer.adopt(snapshot_of(vae, "vae", config))
    with pytest.raises(UserError, match="no codebook"):
        look_at_grid(explorer, GridChoice(item=0))


def type_of_vae():
    from vae_explorer.models.vae_config import VAEConfig

    return VAEConfig(hidden_widths=(4,))
