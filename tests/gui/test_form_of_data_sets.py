"""The form follows the data set: the protocols that suit it, and all of it taken back at once."""

from __future__ import annotations

from vae_explorer.gui.main_window import MainWindow


def test_a_set_of_points_brings_its_protocol_and_undo_takes_both_back(window: MainWindow) -> None:
    session, form = window.session, window.panel("run_config")
    before = session.config
    session.edit("data.dataset", "eight-gaussians")
    editor = form.row("data.protocol").editor
    assert [editor.itemData(i) for i in range(editor.count())] == ["gaussian"]
    assert editor.itemText(0) == "Gaussian"
    session.undo_stack.undo()
    assert session.config == before
    session.undo_stack.redo()
    assert session.config.data.protocol == "gaussian"
