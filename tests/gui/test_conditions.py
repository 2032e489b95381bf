"""The class under which the map is decoded, and the image whose part is given: chosen, undone, kept, never stale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.threads.place import DecodedPlace
from vae_explorer.latent.arrangement import ItemSet
from vae_explorer.latent.explorer import Explorer, as_pictures
from vae_explorer.training.run_config import RunConfig, with_value

Opening = Callable[..., MainWindow]


def opened(open_window: Opening, config: RunConfig, qtbot: QtBot, model: str) -> MainWindow:
    window = open_window(with_value(config, "model.name", model), wait=False)
    qtbot.waitUntil(
        lambda: window.session.snapshot is not None and window.session.snapshot.model_name == model, timeout=WAIT_MS
    )
    return window


def decoded_under(window: MainWindow, told: int) -> np.ndarray:
    """The picture of the origin under this choice, by an explorer of the test's own."""
    from vae_explorer.models.snapshot import with_told

    explorer = Explorer()
    explorer.show_images(window.session.dataset)
    assert window.session.snapshot is not None
    explorer.adopt(with_told(window.session.snapshot, told))
    return explorer.decode(np.zeros((1, window.session.map.num_dimensions)))[0]


def shown(window: MainWindow) -> DecodedPlace | None:
    return window.panel("decoded_image")._shown


def test_a_class_is_chosen_by_combo_and_key_undone_and_kept(
    open_window: Opening, long_config: RunConfig, qtbot: QtBot
) -> None:
    window = opened(open_window, long_config, qtbot, "cvae")
    classes = window.panel("latent_map").toolbar.classes
    qtbot.waitUntil(lambda: classes.isVisible() and shown(window) is not None, timeout=WAIT_MS)
    assert [classes.itemText(number) for number in range(3)] == ["Class across", "Class down", "Class square"]
    pictures = [decoded_under(window, told) for told in range(3)]
    assert not np.array_equal(pictures[0], pictures[2])

    seen: list[DecodedPlace] = []
    window.session.explorer_thread.place.decoded.connect(seen.append)
    stamp = window.session.explorer_thread.stamp
    classes.setCurrentIndex(2)
    classes.activated.emit(2)
    assert window.session.explorer_thread.stamp > stamp, "another look: nothing drawn before it is taken for it"
    qtbot.waitUntil(lambda: bool(seen), timeout=WAIT_MS)
    assert all(place.told == 2 for place in seen), "no answer of the class before comes after the choice"
    assert np.array_equal(seen[-1].picture, pictures[2])
    assert "decoded as class square" in window.panel("decoded_image").tag.toolTip()

    window.commands.actions["action.next_class"].trigger()
    assert classes.currentIndex() == 0, "round and round"
    window.commands.actions["action.previous_class"].trigger()
    window.commands.actions["action.previous_class"].trigger()
    qtbot.waitUntil(lambda: shown(window) is not None and shown(window).told == 1, timeout=WAIT_MS)
    window.panel("view").add_bookmark()
    window.commands.actions["action.undo"].trigger()
    window.commands.actions["action.undo"].trigger()
    assert classes.currentIndex() == 2
    qtbot.waitUntil(lambda: np.array_equal(shown(window).picture, pictures[2]), timeout=WAIT_MS)
    window.commands.actions["action.redo"].trigger()
    window.commands.actions["action.redo"].trigger()
    window.session.map.tell(0, "choose class across")
    window.panel("view").bookmarks.go_to(0)
    assert classes.currentIndex() == 1


def test_a_choice_holds_for_the_next_snapshots(open_window: Opening, long_config: RunConfig, qtbot: QtBot) -> None:
    window = opened(open_window, long_config, qtbot, "cvae")
    window.session.map.tell(1, "choose class down")
    window.commands.actions["action.train"].trigger()
    qtbot.waitUntil(lambda: shown(window) is not None and shown(window).step > 0, timeout=WAIT_MS)
    assert shown(window).told == 1
    assert window.session.snapshot is not None
    assert window.session.snapshot.told == 1
    window.session.map.tell(2, "choose class square")
    qtbot.waitUntil(lambda: shown(window).told == 2, timeout=WAIT_MS)


def test_a_model_without_a_condition_has_no_selector(window: MainWindow, qtbot: QtBot) -> None:
    assert not window.panel("latent_map").toolbar.classes.isVisible()
    assert not window.commands.actions["action.next_class"].isEnabled()
    qtbot.waitUntil(lambda: shown(window) is not None, timeout=WAIT_MS)
    assert shown(window).told is None
    stamp = window.session.explorer_thread.stamp
    window.session.map.tell(1, "choose class down")
    assert window.session.explorer_thread.stamp == stamp


def test_the_given_part_is_that_of_the_selected_image(
    open_window: Opening, long_config: RunConfig, qtbot: QtBot
) -> None:
    window = opened(open_window, long_config, qtbot, "cvae-quadrants")
    qtbot.waitUntil(lambda: shown(window) is not None, timeout=WAIT_MS)
    assert not window.panel("latent_map").toolbar.classes.isVisible()
    window.session.map.select(ItemSet([17]))
    qtbot.waitUntil(lambda: shown(window).told == 17, timeout=WAIT_MS)
    assert "completing item 17" in window.panel("decoded_image").tag.toolTip()
    explorer = Explorer()
    explorer.show_images(window.session.dataset)
    assert window.session.snapshot is not None
    explorer.adopt(window.session.snapshot)
    seen = as_pictures(explorer.seen(np.array([17])))[0]
    assert np.array_equal(shown(window).picture[4:, :4], seen[4:, :4]), "the lower left quadrant, as it is given"
    window.commands.actions["action.undo"].trigger()
    qtbot.waitUntil(lambda: shown(window).told == 0, timeout=WAIT_MS)


@pytest.mark.parametrize("model", ["cvae", "cvae-quadrants"])
def test_every_panel_and_layer_shows_a_conditional_model_without_a_complaint(
    model: str, open_window: Opening, long_config: RunConfig, qtbot: QtBot
) -> None:
    window = opened(open_window, long_config, qtbot, model)
    messages: list[object] = []
    window.session.message_posted.connect(messages.append)
    told: list[tuple[str, str]] = []
    window.session.map.layer_told.connect(lambda name, text: told.append((name, text)))
    drawn: set[str] = set()
    window.session.map.layer_drawn.connect(lambda name, drawing: drawn.add(name) if drawing is not None else None)
    for name in window.session.map.layers:
        window.session.map.set_layer(name, is_shown=True)
    window.session.map.select(ItemSet([3]))
    qtbot.waitUntil(lambda: drawn >= set(window.session.map.layers), timeout=3 * WAIT_MS)
    assert not told
    assert not messages, messages


def test_the_strip_shows_one_place_under_every_class_and_chooses(
    open_window: Opening, long_config: RunConfig, qtbot: QtBot
) -> None:
    window = opened(open_window, long_config, qtbot, "cvae")
    strip = window.panel("decoded_image").conditions
    qtbot.waitUntil(lambda: strip.isVisible() and strip.num_pictures == 3, timeout=WAIT_MS)
    for told in range(3):
        assert np.array_equal(strip.picture(told), decoded_under(window, told))
    qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=strip.cell(2).center())
    assert window.session.map.arrangement.told == 2
    qtbot.waitUntil(lambda: strip._row is not None and strip._row.told == 2, timeout=WAIT_MS)
    qtbot.keyClick(strip, Qt.Key.Key_Right)
    assert window.session.map.arrangement.told == 0
    decodings = window.session.explorer_thread
    window.docks["decoded_image"].hide()
    asked: list[str] = []
    submit = decodings.submit
    decodings.submit = lambda slot, number, work: (asked.append(slot), submit(slot, number, work))  # type: ignore[method-assign]
    window.session.map.tell(1, "choose class down")
    qtbot.wait(50)
    assert "conditions" not in asked, "hidden it costs nothing"


def test_the_strip_of_a_given_part_shows_draws_with_the_part_as_it_is(
    open_window: Opening, long_config: RunConfig, qtbot: QtBot
) -> None:
    window = opened(open_window, long_config, qtbot, "cvae-quadrants")
    strip = window.panel("decoded_image").conditions
    qtbot.waitUntil(lambda: strip.num_pictures > 3, timeout=WAIT_MS)
    given = strip.picture(0)[4:, :4]
    assert all(np.array_equal(strip.picture(number)[4:, :4], given) for number in range(strip.num_pictures))


def test_the_panel_of_a_model_without_condition_is_as_it_was(window: MainWindow, qtbot: QtBot) -> None:
    panel = window.panel("decoded_image")
    qtbot.waitUntil(lambda: panel._shown is not None, timeout=WAIT_MS)
    assert not panel.conditions.isVisible()
