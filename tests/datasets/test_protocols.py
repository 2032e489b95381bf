from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from tests.tiny_runs import register_tiny
from vae_explorer.datasets.image_dataset import load_dataset, load_test_split
from vae_explorer.datasets.protocols import (
    BINARISATION_SEED,
    PROTOCOLS,
    STATIC_SEEDS,
    apply_protocol,
    fixed_binarisation,
    fixed_draw,
    static_binarisation,
)
from vae_explorer.errors import UserError
from vae_explorer.evaluation.images import load_scored_images

ALL_LEVELS = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", PROTOCOLS.names())
def test_every_protocol_gives_float32_of_the_same_shape_within_0_and_1(name):
    x_BCHW = apply_protocol(name, ALL_LEVELS.expand(3, 1, 16, 16), generator())
    assert x_BCHW.dtype == torch.float32
    assert x_BCHW.shape == (3, 1, 16, 16)
    assert x_BCHW.min() >= 0
    assert x_BCHW.max() <= 1


@pytest.mark.parametrize("record", PROTOCOLS, ids=lambda record: record.name)
def test_every_record_says_what_a_person_reads(record):
    assert record.title
    assert record.reference
    assert record.summary.endswith(".")
    assert record.bound_note.endswith(".")


def test_only_grey_is_no_likelihood():
    assert [record.name for record in PROTOCOLS if not record.is_likelihood] == ["grey"]


def test_grey_divides_by_255_and_leaves_the_images_alone():
    x_BCHW = apply_protocol("grey", ALL_LEVELS)
    torch.testing.assert_close(x_BCHW, ALL_LEVELS / 255, rtol=0, atol=0)
    assert ALL_LEVELS.flatten()[-1] == 255


def test_threshold_is_one_above_one_half():
    assert apply_protocol("threshold", ALL_LEVELS).flatten().tolist() == [
        float(level / 255 > 0.5) for level in range(256)
    ]


def test_dynamic_draws_each_pixel_with_its_grey_level_as_the_probability():
    num = 20_000
    mean = apply_protocol("dynamic", ALL_LEVELS.expand(num, 1, 16, 16), generator()).mean(dim=0).flatten()
    probability = torch.arange(256) / 255
    standard_error = (probability * (1 - probability) / num).sqrt()
    assert mean[0] == 0  # black stays black and white stays white, exactly
    assert mean[255] == 1
    assert ((mean - probability).abs() <= 4.5 * standard_error).all()


def test_dynamic_draws_anew_at_every_visit_and_the_same_from_the_same_seed():
    images_BCHW = ALL_LEVELS.expand(4, 1, 16, 16)
    noise = generator(3)
    first, second = (apply_protocol("dynamic", images_BCHW, noise) for _ in range(2))
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, apply_protocol("dynamic", images_BCHW, generator(3)))


def test_dynamic_without_a_generator_is_a_defect_of_the_program():
    with pytest.raises(AssertionError, match="needs a generator"):
        apply_protocol("dynamic", ALL_LEVELS)


def test_an_unknown_protocol_names_the_nearest():
    with pytest.raises(UserError, match="dynamic"):
        apply_protocol("dynamics", ALL_LEVELS)


def test_the_fixed_binarisation_is_the_same_on_every_machine_and_in_every_version():
    """Published numbers of `dynamic` depend on these bits: if this fails, old results cannot be compared with
    new ones."""
    x_NCHW = fixed_binarisation(ALL_LEVELS.expand(10, 1, 16, 16))
    assert BINARISATION_SEED == 20131220
    assert x_NCHW.dtype == torch.float32
    assert set(x_NCHW.unique().tolist()) == {0.0, 1.0}
    bits = x_NCHW.to(torch.uint8).numpy().tobytes()
    assert hashlib.sha256(bits).hexdigest() == "096104866b38e0833f4d2b5a04a983352200d3c185b2529f4ab396702b4fb281"


def test_the_first_images_of_a_split_get_the_same_bits_whether_or_not_the_rest_is_there():
    images_NCHW = ALL_LEVELS.expand(10, 1, 16, 16)
    torch.testing.assert_close(fixed_binarisation(images_NCHW[:4]), fixed_binarisation(images_NCHW)[:4])


def test_another_seed_gives_another_binarisation():
    assert not torch.equal(fixed_binarisation(ALL_LEVELS, 1), fixed_binarisation(ALL_LEVELS, 2))


@pytest.mark.gpu
def test_protocols_stay_on_the_gpu():
    images_BCHW = ALL_LEVELS.expand(2000, 1, 16, 16).cuda()
    noise = torch.Generator(device="cuda").manual_seed(0)
    for name in PROTOCOLS.names():
        assert apply_protocol(name, images_BCHW, noise).device.type == "cuda"
    mean = apply_protocol("dynamic", images_BCHW, noise).mean(dim=0).flatten().cpu()
    assert (mean - torch.arange(256) / 255).abs().max() < 0.06
    assert torch.equal(fixed_binarisation(images_BCHW[:5]).cpu(), fixed_binarisation(images_BCHW[:5].cpu()))


def test_static_bits_are_drawn_once_and_are_the_same_in_every_batch(tiny_images, monkeypatch) -> None:
    register_tiny(monkeypatch, tiny_images)
    grey, bits = load_dataset("tiny", 40), load_dataset("tiny", 40, protocol="static")
    ids = torch.arange(240)
    stored = bits.images.gather(ids)
    assert set(stored.unique().tolist()) == {0, 255}
    assert bits.content_digest != grey.content_digest
    assert torch.equal(bits.heldout_index_N, grey.heldout_index_N)
    # In training, where a generator is at hand, as in what is only looked at, where a draw is.
    seen = apply_protocol("static", stored, torch.Generator().manual_seed(3))
    assert torch.equal(seen, stored / 255.0)
    assert torch.equal(apply_protocol("static", stored, fixed_draw(stored, 7)), seen)
    assert torch.equal(apply_protocol("static", bits.images.gather(ids[50:60])), seen[50:60])
    # And as drawn from the grey levels: the mean over many pixels is theirs.
    levels = grey.images.gather(ids).double() / 255
    assert float(seen.mean() - levels.mean()) == pytest.approx(0, abs=4 * 0.5 / seen.numel() ** 0.5)


def test_the_static_bits_of_the_splits_are_scored_as_they_were_trained_on(tiny_images, monkeypatch) -> None:
    register_tiny(monkeypatch, tiny_images)
    source = load_dataset("tiny", 40, protocol="static")
    heldout = load_scored_images("tiny", 40, "static", "heldout")
    assert torch.equal(heldout.x(0, 40), source.images.gather(source.heldout_index_N) / 255.0)
    test = load_scored_images("tiny", 40, "static", "test")
    assert torch.equal(
        test.x(0, 60), load_test_split("tiny", protocol="static").images.gather(torch.arange(60)) / 255.0
    )
    assert heldout.binarisation_seed == STATIC_SEEDS["train"]
    assert test.binarisation_seed == STATIC_SEEDS["test"]


def test_the_static_bits_are_the_same_in_every_version() -> None:
    images = np.full((2, 1, 2, 4), 128, dtype=np.uint8)
    assert (static_binarisation(images, "train").ravel() // 255).tolist() == BITS["train"]
    assert (static_binarisation(images, "test").ravel() // 255).tolist() == BITS["test"]


BITS = {
    "train": [1, 0, 1, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0],
    "test": [0, 1, 0, 1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1],
}
