"""The bar over the panels: what is done to a training, and how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtWidgets import QSizePolicy, QToolBar, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.actions import TOOLBAR
from vae_explorer.gui.icons import icon
from vae_explorer.gui.progress_strip import ProgressStrip

if TYPE_CHECKING:
    from PySide6.QtWidgets import QToolButton

    from vae_explorer.gui.commands import Commands
    from vae_explorer.gui.session import Session


class TrainingToolbar(QToolBar):
    """Always in its place and always shown; the keyboard reaches each button."""

    def __init__(self, commands: Commands, session: Session, parent: QWidget) -> None:
        super().__init__("Training", parent)
        self.setObjectName("toolbar.training")
        self.setMovable(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.setIconSize(QSize(16, 16))
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.toggleViewAction().setEnabled(False)
        for name in TOOLBAR:
            if name:
                self.addAction(commands.actions[name])
                self.widgetForAction(commands.actions[name]).setFocusPolicy(Qt.FocusPolicy.TabFocus)
            else:
                self.addSeparator()
        train = commands.actions["action.train"]
        self.train_button = cast("QToolButton", self.widgetForAction(train))
        self.train_button.setProperty("variant", "primary")
        # The menu shows the action's icon on its own ground; each change of the action brings it back here.
        train.changed.connect(self._show_train_icon)
        self._show_train_icon()
        self._keep_room_for_continue(self.widgetForAction(commands.actions["action.pause"]))
        spacer = QWidget()
        spacer.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.addWidget(spacer)
        self.addWidget(ProgressStrip(session))

    @staticmethod
    def _keep_room_for_continue(button: QWidget) -> None:
        """Its other name is longer: what stands to its right must not jump."""
        button.ensurePolished()
        longer, shorter = (button.fontMetrics().horizontalAdvance(text) for text in ("Continue", "Pause"))
        button.setMinimumWidth(button.sizeHint().width() + longer - shorter)

    @Slot()
    def _show_train_icon(self) -> None:
        colours = theme.current()
        self.train_button.setIcon(icon("train", colours.accent_text, colours.faint))
