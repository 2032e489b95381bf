"""Everything the window can do, as data: menus, toolbar, list of shortcuts and command palette are derived from it.

A handler is the name of a method of `commands.Commands`. An id is the action's objectName and does not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QIcon, QKeySequence

from vae_explorer.gui.session_words import CAN_TRAIN, State

ANY = frozenset(State)
WITH_PICTURE = ANY - {State.STARTING}
MENUS = ("File", "Edit", "Training", "Map", "View", "Help")


@dataclass(frozen=True)
class ActionRecord:
    """One thing a person can do.

    `menu`: its menu, with a submenu after a slash; `group`: a separator stands between two groups of a menu;
    `shortcut`: keys, several separated by a space; `choice`: exclusive with the others of its menu; `toggle`: on or
    off.
    """

    id: str
    text: str
    menu: str
    help: str
    handler: str
    shortcut: str = ""
    enabled_in: frozenset[State] = ANY
    icon: str = ""
    group: int = 0
    argument: str = ""
    choice: bool = False
    toggle: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The shortcuts, each in Qt's portable writing."""
        return tuple(self.shortcut.split())


ACTIONS: tuple[ActionRecord, ...] = (
    ActionRecord(
        "action.save_samples", "Save sample grid…", "File", "Save a grid of pictures drawn from the prior as PNG",
        "save_images", "Ctrl+S", WITH_PICTURE, "save", argument="samples",
    ),
    ActionRecord(
        "action.save_reconstructions", "Save reconstructions…", "File",
        "Save pictures above their reconstructions as PNG", "save_images", "Ctrl+Shift+R", WITH_PICTURE,
        argument="reconstructions",
    ),
    ActionRecord(
        "action.save_manifold", "Save manifold…", "File", "Save the decoded latent plane as PNG", "save_images",
        "Ctrl+Shift+M", WITH_PICTURE, argument="manifold",
    ),
    ActionRecord(
        "action.open_run", "Open run…", "File", "Look at a run from its folder: curves, map and settings",
        "open_run", "Ctrl+O", CAN_TRAIN | {State.STARTING}, group=1,
    ),
    ActionRecord(
        "action.compare_run", "Compare with a run…", "File",
        "Put a second run beside this one: both maps, joined image by image", "compare_run", "Ctrl+Shift+B",
        WITH_PICTURE, group=1,
    ),
    ActionRecord(
        "action.save_run_again", "Save the run again", "File",
        "Write what could not be written at the end of the run", "save_run_again", group=1,
    ),
    ActionRecord(
        "action.open_run_folder", "Open run folder", "File", "Show the folder of the run in the file browser",
        "open_run_folder", "Ctrl+Shift+O", group=1,
    ),
    ActionRecord(
        "action.choose_runs_folder", "Choose folder for runs…", "File", "Decide where new runs are saved",
        "choose_runs_folder", enabled_in=CAN_TRAIN | {State.STARTING}, group=1,
    ),
    ActionRecord("action.quit", "Quit", "File", "Save the run and close the window", "quit", "Ctrl+Q", group=2),
    ActionRecord(
        "action.undo", "Undo", "Edit", "Take back the last setting, or change of the map", "undo", "Ctrl+Z", icon="undo"
    ),
    ActionRecord(
        "action.redo", "Redo", "Edit", "Do again what was taken back", "redo", "Ctrl+Shift+Z Ctrl+Y", icon="redo"
    ),
    ActionRecord(
        "action.copy_image", "Copy decoded image", "Edit", "Copy the decoded image to the clipboard", "copy_image",
        "Ctrl+Shift+C", WITH_PICTURE, "copy", group=1,
    ),
    ActionRecord(
        "action.train", "Train", "Training", "Start a new run with the settings in the form", "train", "Ctrl+T",
        CAN_TRAIN, "train",
    ),
    ActionRecord(
        "action.pause", "Pause", "Training", "Pause the run, or continue it", "pause_or_continue", "Ctrl+P",
        CAN_TRAIN | {State.TRAINING, State.PAUSED}, "pause",
    ),
    ActionRecord(
        "action.step", "Single step", "Training", "Take one step of training, then rest", "step_once", "F10",
        CAN_TRAIN | {State.TRAINING, State.PAUSED}, "step",
    ),
    ActionRecord(
        "action.stop", "Stop", "Training", "End the run and save it", "stop", "Ctrl+.",
        frozenset({State.TRAINING, State.PAUSED}), "stop",
    ),
    ActionRecord(
        "action.fork_run", "Fork this run", "Training",
        "Train a child of this run with the settings in the form, from its newest checkpoint or, where the time slider "
        "shows an earlier moment, from the one nearest to that", "fork_run",
        enabled_in=CAN_TRAIN,
    ),
    ActionRecord(
        "action.train_from_weights", "Train from weights…", "Training",
        "Start a new run with the settings in the form from the weights in a safetensors file, as File > Export writes "
        "them; names and shapes must be the model's", "train_from_weights",
        enabled_in=CAN_TRAIN,
    ),
    ActionRecord(
        "action.next_panel", "Next panel", "View", "Move the keyboard to the next panel", "next_panel", "F6", group=1
    ),
    ActionRecord("action.full_screen", "Full screen", "View", "Use the whole screen", "full_screen", "F11", group=1),
    ActionRecord(
        "action.looking_pause", "Off while training", "View/Map updates",
        "Leave all the time to training; pause to look", "set_looking_rate", group=2, argument="0", choice=True,
    ),
    ActionRecord(
        "action.looking_1", "Once a second", "View/Map updates",
        "Look once a second, in at most 5 % of the time", "set_looking_rate", group=2, argument="1", choice=True,
    ),
    ActionRecord(
        "action.looking_4", "4 times a second", "View/Map updates",
        "Look four times a second, in at most 10 % of the time", "set_looking_rate", group=2, argument="4", choice=True,
    ),
    ActionRecord(
        "action.looking_10", "10 times a second", "View/Map updates",
        "Look ten times a second, in at most 30 % of the time", "set_looking_rate", group=2, argument="10", choice=True,
    ),
    ActionRecord(
        "action.theme_system", "Like the desktop", "View/Theme", "Follow the desktop's light or dark look",
        "set_theme", group=2, argument="system", choice=True,
    ),
    ActionRecord(
        "action.theme_light", "Light", "View/Theme", "Dark writing on light ground", "set_theme", group=2,
        argument="light", choice=True,
    ),
    ActionRecord(
        "action.theme_dark", "Dark", "View/Theme", "Light writing on dark ground", "set_theme", group=2,
        argument="dark", choice=True,
    ),
    ActionRecord(
        "action.reset_layout", "Reset layout", "View", "Put every panel back in its first place", "reset_layout",
        group=3,
    ),
    ActionRecord(
        "action.command_palette", "Command palette…", "Help", "Find and run any command by its name",
        "show_command_palette", "Ctrl+Shift+P", icon="palette",
    ),
    ActionRecord(
        "action.shortcuts", "Keyboard shortcuts", "Help", "List all shortcuts", "show_shortcuts", "F1 Ctrl+/"
    ),
    ActionRecord(
        "action.doctor", "Check this machine", "Help", "Say what this machine has and what it lacks", "run_doctor",
        group=1,
    ),
    ActionRecord("action.about", "About VAE Explorer", "Help", "Version, licence and libraries", "about", group=1),
)  # fmt: skip

TOOLBAR = ("action.train", "action.pause", "action.step", "action.stop", "", "action.save_samples")


def preset_records(titles: Mapping[str, tuple[str, str]]) -> tuple[ActionRecord, ...]:
    """An action for each preset, from {name: (title, summary)}."""
    return tuple(
        ActionRecord(
            f"action.preset_{name}", title, "Training/Presets", summary, "use_preset",
            enabled_in=CAN_TRAIN | {State.STARTING}, group=1, argument=name,
        )
        for name, (title, summary) in titles.items()
    )  # fmt: skip


def tip_text(record: ActionRecord) -> str:
    """What an action does, and its shortcuts as this desktop writes them."""
    keys = ", ".join(
        QKeySequence.fromString(key).toString(QKeySequence.SequenceFormat.NativeText) for key in record.keys
    )
    return f"{record.help} ({keys})" if keys else record.help


def make_action(record: ActionRecord, parent: QObject) -> QAction:
    """The Qt action of a record, not yet connected."""
    action = QAction(record.text, parent)
    action.setObjectName(record.id)
    action.setShortcuts([QKeySequence.fromString(keys) for keys in record.keys])
    action.setToolTip(tip_text(record))
    action.setStatusTip(record.help)
    action.setCheckable(record.choice or record.toggle)
    action.setIcon(QIcon())
    action.setMenuRole(QAction.MenuRole.QuitRole if record.id == "action.quit" else QAction.MenuRole.NoRole)
    return action
