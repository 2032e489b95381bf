"""What a person arranges on the map: equal by content, changed by new records, free of what belongs elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from vae_explorer.latent.arrangement import Arrangement, Direction, Group, ItemSet, Pin, free_name
from vae_explorer.latent.path_catalogue import Bend, PathChoice


def test_items_are_sorted_unique_and_equal_by_content() -> None:
    items = ItemSet([5, 1, 5, 3])
    assert items.ids.tolist() == [1, 3, 5]
    assert items == ItemSet(np.array([1, 3, 5])) != ItemSet([1, 3])
    assert hash(items) == hash(ItemSet([3, 5, 1]))
    assert 3 in items
    assert np.int64(5) in items
    assert 4 not in items
    assert 6 not in items
    assert "3" not in items
    with pytest.raises(ValueError, match="read-only"):
        items.ids[0] = 9


def test_a_mask_leaves_out_ids_of_other_images() -> None:
    assert ItemSet([0, 2, 9]).mask(4).tolist() == [True, False, True, False]
    assert not ItemSet([]).mask(3).any()


def test_pins_get_the_first_free_letter_and_the_newest_is_active() -> None:
    arrangement = Arrangement().with_pin(np.zeros(2)).with_pin(np.ones(2)).with_pin(np.full(2, 2.0))
    assert [pin.name for pin in arrangement.pins] == ["A", "B", "C"]
    assert arrangement.active == Pin("C", (2.0, 2.0))
    without = arrangement.without_pin(1)
    assert [pin.name for pin in without.pins] == ["A", "C"]
    assert without.active is not None
    assert without.active.name == "A"
    assert without.with_pin(np.zeros(2)).pins[-1].name == "B"
    assert arrangement.without_pin(2).without_pin(1).without_pin(0).active is None
    assert free_name([Pin(chr(65 + number), ()) for number in range(26)]) == "A2"


def test_a_moved_pin_keeps_its_letter_and_the_paths_bends() -> None:
    path = PathChoice(bends=(Bend(0, (0.5, 0.5)),))
    arrangement = Arrangement(path=path).with_pin(np.zeros(2)).with_pin(np.ones(2))
    moved = arrangement.with_moved_pin(0, np.array([3.0, 4.0]))
    assert moved.pins[0] == Pin("A", (3.0, 4.0))
    assert moved.active_pin == 0
    assert moved.path.bends == path.bends
    assert moved.without_pin(0).path.bends == ()


def test_points_are_read_only_and_equal_arrangements_are_equal() -> None:
    one, other = (Arrangement().with_pin(np.array([1.0, 2.0])) for _ in range(2))
    assert one == other
    with pytest.raises(ValueError, match="read-only"):
        one.pins[0].z_D[0] = 5.0


def test_another_latent_space_keeps_items_and_other_images_keep_points() -> None:
    arrangement = Arrangement(
        selection=ItemSet([1]), groups=(Group("ones", ItemSet([1])),), directions=(Direction("up", (1.0, 0.0)),),
        amounts=(("up", 1.0),),
    ).with_pin(np.zeros(2))  # fmt: skip
    elsewhere = arrangement.without_latents()
    assert elsewhere.groups == arrangement.groups
    assert elsewhere.selection == arrangement.selection
    assert (elsewhere.pins, elsewhere.directions, elsewhere.amounts, elsewhere.view) == ((), (), (), None)
    others = arrangement.without_items()
    assert (others.selection, others.groups) == (None, ())
    assert others.pins == arrangement.pins
