"""What the actions do: one method for each handler named in the action table. GUI thread only."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QProcess, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QMessageBox
from shiboken6 import isValid

from vae_explorer.gui import theme
from vae_explorer.gui.actions import ACTIONS, ActionRecord, make_action, preset_records, tip_text
from vae_explorer.gui.icons import icon
from vae_explorer.gui.map_actions import MAP_ACTIONS, layer_records
from vae_explorer.gui.map_commands import MapCommands
from vae_explorer.gui.run_file_commands import RunFileCommands, export_records
from vae_explorer.gui.session_words import State
from vae_explorer.gui.text_dialog import TextDialog
from vae_explorer.training.run_config import load_preset, preset_names

if TYPE_CHECKING:
    from vae_explorer.gui.main_window import MainWindow
    from vae_explorer.gui.session import Session
    from vae_explorer.gui.settings import Settings


class Commands(QObject):
    """Holds the actions by id, keeps them enabled as the session's state allows, and carries them out."""

    def __init__(self, session: Session, settings: Settings, window: MainWindow) -> None:
        super().__init__(window)
        self._session = session
        self._settings = settings
        self._window = window
        self._form = window.panel("run_config")
        self._is_retired = False
        self._pause_shown: tuple[str, theme.Theme] | None = None
        self._dialogs: dict[str, QDialog] = {}
        self._doctor: QProcess | None = None
        presets = {name: load_preset(name) for name in preset_names()}
        titles = {name: (preset.title, preset.summary) for name, preset in presets.items()}
        self._presets = presets
        self.map = MapCommands(session, window)
        self.files = RunFileCommands(session, settings, window, self._may_lose)
        last = next(number for number, record in enumerate(ACTIONS) if record.id == "action.quit")
        self.records: tuple[ActionRecord, ...] = (
            *ACTIONS[:last], *export_records(), *ACTIONS[last:],
            *preset_records(titles), *MAP_ACTIONS, *layer_records(),
        )  # fmt: skip
        self.actions: dict[str, QAction] = {}
        for record in self.records:
            action = make_action(record, window)
            action.triggered.connect(self._caller(record))
            self.actions[record.id] = action
            window.addAction(action)
        self.map.use(self.actions)
        session.state_changed.connect(self._refresh)
        session.following.changed.connect(self._refresh)
        session.snapshot_changed.connect(self._snapshot_came)
        session.undo_stack.indexChanged.connect(self._refresh)
        self._form.problem_changed.connect(self._refresh)
        self.files.tried_again.connect(self._refresh)
        window.panel("runs").open_asked.connect(self.files.open_run)
        session.config_changed.connect(self._refresh)
        theme.notifier().changed.connect(self._recolour)
        self._recolour(theme.current())
        self._refresh()

    def _caller(self, record: ActionRecord) -> Callable[[], None]:
        owner = next(owner for owner in (self, self.files, self.map) if hasattr(owner, record.handler))
        handler = getattr(owner, record.handler)
        if record.argument:
            return lambda: handler(record.argument)
        return lambda: handler()

    @Slot(object)
    def _recolour(self, colours: theme.Theme) -> None:
        if self._is_retired:
            return
        for record in self.records:
            if record.icon:
                self.actions[record.id].setIcon(icon(record.icon, colours.text, colours.faint))
        self._show_pause(colours)

    @Slot()
    def _refresh(self) -> None:
        session = self._session
        # The undo stack says that it is empty while it is being destroyed.
        if self._is_retired or not isValid(session) or not isValid(session.undo_stack):
            return
        problem = "" if session.is_running else self._form.problem
        for record in self.records:
            enabled = session.state in record.enabled_in
            if record.handler in {"train", "step_once", "train_from_weights"}:
                enabled = enabled and not problem
                tip = f"{problem}\nMend it in the form, then train." if problem else tip_text(record)
                self.actions[record.id].setToolTip(tip)
            if record.handler in {"save_images", "copy_image"}:
                enabled = enabled and session.snapshot is not None
            if record.handler == "pause_or_continue" and not session.is_running:
                enabled = enabled and not session.continuation_problem
            if record.handler == "export_run":
                enabled = enabled and session.run_directory is not None
            if record.handler == "fork_run":
                enabled = enabled and session.run_directory is not None and not problem
            self.actions[record.id].setEnabled(enabled)
        stack = session.undo_stack
        for name, can, text in (
            ("undo", session.can_undo, stack.undoText()),
            ("redo", session.can_redo, stack.redoText()),
        ):
            self.actions[f"action.{name}"].setEnabled(can)
            self.actions[f"action.{name}"].setText(f"{name.capitalize()} {text}".strip())
        self.actions["action.open_run_folder"].setEnabled(session.run_directory is not None)
        self.actions["action.save_run_again"].setEnabled(session.can_save_again)
        self.actions[f"action.theme_{theme.notifier().choice}"].setChecked(True)
        for record in self.records:
            if record.handler == "set_looking_rate":
                self.actions[record.id].setChecked(float(record.argument) == session.looking_rate)
        self.map.refresh()
        self._show_pause(theme.current())

    @Slot(object)
    def _snapshot_came(self, _snapshot: object) -> None:
        """All that a snapshot allows is there with the first one; others come many times a second."""
        if self.actions["action.copy_image"].isEnabled():
            self.map.refresh()
        else:
            self._refresh()

    def _show_pause(self, colours: theme.Theme) -> None:
        session, action = self._session, self.actions["action.pause"]
        run = None if session.is_running else session.run_directory
        paused = session.state is State.PAUSED or run is not None
        if run is not None:
            why_not = session.continuation_problem
            words = why_not or f"Train {run.name} on from its newest checkpoint"
            action.setToolTip(f"{words} (Ctrl+P)" if not why_not else words)
        else:
            action.setToolTip(tip_text(next(record for record in ACTIONS if record.id == "action.pause")))
        text = "Continue" if paused else "Pause"
        if (text, colours) == self._pause_shown:
            return  # an icon is drawn from its outline, and this is asked at every snapshot
        self._pause_shown = (text, colours)
        action.setText(text)
        action.setIcon(icon("continue" if paused else "pause", colours.text, colours.faint))

    # --- training

    def train(self) -> None:
        """Start a run."""
        if self._form_is_valid() and self._may_lose():
            self._session.train()

    def pause_or_continue(self) -> None:
        """Pause what runs, continue what rests, or what has ended before its last epoch."""
        if self._session.state is State.PAUSED:
            self._session.resume()
        elif self._session.is_running:
            self._session.pause()
        elif self._form_is_valid() and self._may_lose():
            self._session.continue_run()

    def fork_run(self) -> None:
        """Train a child of the run."""
        if self._form_is_valid() and self._may_lose():
            self._session.fork_run()

    def train_from_weights(self) -> None:
        """Ask for a file and start a run from its weights."""
        if not self._form_is_valid():
            return
        start = self._settings.text("weights/folder", str(Path.home()))
        chosen, _ = QFileDialog.getOpenFileName(self._window, "Train from weights", start, "*.safetensors")
        if chosen and self._may_lose():
            self._settings.remember("weights/folder", str(Path(chosen).parent))
            self._session.train_from_weights(Path(chosen))

    def step_once(self) -> None:
        """One step."""
        if self._session.is_running or (self._form_is_valid() and self._may_lose()):
            self._session.step_once()

    def _may_lose(self) -> bool:
        """Whether a new run may take the place of the last: that is saved, perhaps only now, or can be lost."""
        session = self._session
        if session.can_save_again:
            self.files.save_run_again()
        return not session.unsaved or self.ask_to_lose("Train")

    def _form_is_valid(self) -> bool:
        form = self._form
        form.commit_pending()
        if form.problem:
            self._session.post(
                "error", form.problem, "Mend it in the form at the left, then train.", near="panel.run_config"
            )
        return not form.problem

    def stop(self) -> None:
        """End the run and save it."""
        self._session.stop()

    def use_preset(self, name: str) -> None:
        """Put a preset into the form."""
        preset = self._presets[name]
        self._session.replace_config(preset.config, f"preset {preset.title}")

    # --- files

    def save_images(self, kind: str) -> None:
        """Open the dialog that saves a grid of `samples`, `reconstructions` or the `manifold`."""
        from vae_explorer.gui.dialogs.save_images import SaveImagesDialog

        self.open_dialog(f"save.{kind}", lambda: SaveImagesDialog(self._session, kind, self._window))

    def quit(self) -> None:
        """Close the window."""
        self._window.close()

    # --- editing

    def undo(self) -> None:
        """Take back the last arrangement."""
        if self._session.can_undo:
            self._session.undo_stack.undo()

    def redo(self) -> None:
        """Do it again."""
        if self._session.can_redo:
            self._session.undo_stack.redo()

    def copy_image(self) -> None:
        """Put the decoded image on the clipboard."""
        if self._window.panel("decoded_image").copy_image():
            self._session.post("info", "The decoded image is on the clipboard.")

    # --- looking

    def full_screen(self) -> None:
        """Use the whole screen, or no longer."""
        self._window.setWindowState(self._window.windowState() ^ self._window.windowState().WindowFullScreen)

    def set_looking_rate(self, rate: str) -> None:
        """How often the map is renewed while training."""
        self._session.set_looking_rate(float(rate))
        self._settings.remember("looking/rate", float(rate))
        self._refresh()

    def set_theme(self, choice: theme.ThemeChoice) -> None:
        """Light, dark, or as the desktop."""
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply(app, choice)
        self._settings.remember("theme", choice)
        self._refresh()

    def next_panel(self) -> None:
        """Move the keyboard to the next panel in sight."""
        docks = [dock for dock in self._window.docks.values() if dock.is_seen]
        focused = QApplication.focusWidget()
        at = next((i for i, dock in enumerate(docks) if focused is not None and dock.isAncestorOf(focused)), -1)
        for dock in (*docks[at + 1 :], *docks[: at + 1]):
            if dock.take_focus():
                return

    def reset_layout(self) -> None:
        """Every panel in its first place."""
        self._window.reset_layout()

    # --- help

    def show_command_palette(self) -> None:
        """Find any command by its name."""
        from vae_explorer.gui.dialogs.command_palette import CommandPalette

        self.open_dialog("palette", lambda: CommandPalette(self._window.all_actions(), self._window))

    def show_shortcuts(self) -> None:
        """List the shortcuts."""
        from vae_explorer.gui.dialogs.shortcuts import ShortcutsDialog

        self.open_dialog("shortcuts", lambda: ShortcutsDialog(self._window.all_actions(), self._window))

    def run_doctor(self) -> None:
        """Run `doctor` beside the window, since it loads and tries what could fail, and show what it says."""
        if self._doctor is not None:
            return
        self._doctor = QProcess(self)
        self._doctor.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self._doctor.finished.connect(self._show_doctor)
        self._doctor.errorOccurred.connect(self._show_doctor)
        self._doctor.start(sys.executable, ["-m", "vae_explorer", "doctor"])
        self._session.post("info", "Checking this machine…")

    @Slot()
    def _show_doctor(self) -> None:
        doctor, self._doctor = self._doctor, None
        if doctor is None:
            return
        text = bytes(doctor.readAllStandardOutput().data()).decode(errors="replace")
        doctor.deleteLater()
        self.show_text("This machine", text or "No answer.")

    def about(self) -> None:
        """Version, licence and libraries."""
        from vae_explorer.gui.error_report import environment_text

        text = (
            "Train a variational autoencoder and explore its latent space while it trains.\n"
            f"MIT licence. MNIST: Y. LeCun, C. Cortes, C. J. C. Burges, CC BY-SA 3.0.\n\n{environment_text()}"
        )
        self.show_text("About VAE Explorer", text)

    def show_text(self, title: str, text: str) -> None:
        """Show some text to read and to copy."""
        self.open_dialog(f"text.{title}", lambda: TextDialog(title, text, self._window))

    def retire(self) -> None:
        """The window goes: close what is open and follow the session no more."""
        self._is_retired = True
        self.close_all()

    def close_all(self) -> None:
        """Close every dialog and end the doctor, before the window goes."""
        for dialog in list(self._dialogs.values()):
            dialog.close()
        if self._doctor is not None:
            doctor, self._doctor = self._doctor, None
            doctor.kill()
            doctor.waitForFinished(500)

    def ask_to_lose(self, verb: str = "Close") -> bool:
        """Whether to close, or what else the verb says, although the run cannot be saved."""
        run = self._session.run_directory
        box = QMessageBox(self._window)
        box.setIcon(QMessageBox.Icon.Warning)
        box.setWindowTitle("VAE Explorer")
        box.setText(f"The newest part of this run cannot be saved to {run.path if run else 'its folder'}.")
        box.setInformativeText(
            f"Make room or give the folder write permission, then try again; or {verb.lower()} and lose it."
        )
        lose = box.addButton(f"{verb} and lose it", QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton("Keep it", QMessageBox.ButtonRole.RejectRole))
        box.exec()
        answer = box.clickedButton() is lose
        box.deleteLater()
        return answer

    def open_dialog(self, name: str, make: Callable[[], QDialog]) -> None:
        """Show the dialog of this name: the one that is open, or a new one."""
        dialog = self._dialogs.get(name)
        if dialog is None:
            dialog = make()
            self._dialogs[name] = dialog
            dialog.finished.connect(lambda _result: self._forget(name))
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()

    def _forget(self, name: str) -> None:
        dialog = self._dialogs.pop(name, None)
        if dialog is not None:
            dialog.deleteLater()
