"""Runs are joined by item id only where an id names the same picture in both."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from vae_explorer.datasets.image_dataset import ImageDataset, ResidentImages
from vae_explorer.datasets.same_items import join_problem, shared_heldout


def test_the_same_images_are_joined_whatever_is_held_out(tiny_dataset: ImageDataset) -> None:
    other = dataclasses.replace(tiny_dataset, heldout_index_N=torch.arange(10), train_index_N=torch.arange(10, 300))
    assert join_problem(tiny_dataset, other) == ""


def test_other_data_sets_are_named(tiny_dataset: ImageDataset) -> None:
    told = join_problem(tiny_dataset, dataclasses.replace(tiny_dataset, name="sprites"))
    assert told == "The runs are of different data sets, tiny and sprites: their images cannot be joined."


def test_one_name_with_other_pictures_is_not_joined(tiny_dataset: ImageDataset) -> None:
    told = join_problem(tiny_dataset, dataclasses.replace(tiny_dataset, content_digest="1" * 64))
    assert "The images of tiny are not the same in both runs" in told


@pytest.mark.parametrize("change", ["none", "labels", "number"])
def test_bits_are_joined_with_the_pictures_they_were_drawn_from(tiny_dataset: ImageDataset, change: str) -> None:
    assert tiny_dataset.labels_N is not None
    bits = dataclasses.replace(tiny_dataset, content_digest="1" * 64)
    if change == "labels":
        bits = dataclasses.replace(bits, labels_N=tiny_dataset.labels_N.flip(0))
    if change == "number":
        bits = dataclasses.replace(bits, images=ResidentImages(torch.zeros(299, 1, 8, 8, dtype=torch.uint8)))
    assert bool(join_problem(tiny_dataset, bits, are_bits=(False, True))) == (change != "none")
    assert join_problem(tiny_dataset, bits, are_bits=(True, True))


def test_what_both_hold_out_was_seen_by_neither(tiny_dataset: ImageDataset) -> None:
    other = dataclasses.replace(tiny_dataset, heldout_index_N=tiny_dataset.heldout_index_N[::3])
    shared = shared_heldout(tiny_dataset, other)
    assert shared.tolist() == other.heldout_index_N.tolist()
    rest = dataclasses.replace(tiny_dataset, heldout_index_N=tiny_dataset.train_index_N)
    assert len(shared_heldout(tiny_dataset, rest)) == 0
