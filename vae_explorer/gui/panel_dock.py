"""A dock for one panel: a quiet header, and the panel told when it is seen."""

from __future__ import annotations

from typing import Protocol, cast

from PySide6.QtCore import QEvent, Qt, Signal, Slot
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QDockWidget, QHBoxLayout, QToolButton, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.icons import icon
from vae_explorer.gui.widgets.elided_label import ElidedLabel


class Panel(Protocol):
    """What every panel can be told."""

    def set_active(self, visible: bool) -> None:
        """Hidden panels neither draw nor ask for anything."""


class PanelHeader(QWidget):
    """The title of a dock; dragging it moves the dock, a double click floats it."""

    def __init__(self, dock: QDockWidget, title: str) -> None:
        super().__init__(dock)
        self.setObjectName("panel_header")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        label = ElidedLabel()
        label.show_text(title)
        self._float_button = self._button(f"Float or dock {title.lower()}")
        self._float_button.clicked.connect(self._toggle_floating)
        self._close_button = self._button(f"Close {title.lower()}; the View menu brings it back")
        self._close_button.clicked.connect(dock.close)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 4, 6, 4)
        layout.setSpacing(2)
        layout.addWidget(label, 1)
        layout.addWidget(self._float_button)
        layout.addWidget(self._close_button)
        self._show_buttons(False)
        theme.notifier().changed.connect(self._recolour)
        self._recolour(theme.current())

    @Slot()
    def _toggle_floating(self) -> None:
        dock = self.parentWidget()
        if isinstance(dock, QDockWidget):
            dock.setFloating(not dock.isFloating())

    def _button(self, text: str) -> QToolButton:
        button = QToolButton()
        button.setToolTip(text)
        button.setAccessibleName(text)
        button.setFixedSize(22, 22)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def _show_buttons(self, strong: bool) -> None:
        colours = theme.current()
        ink = colours.text if strong else colours.faint
        self._float_button.setIcon(icon("float", ink, colours.faint))
        self._close_button.setIcon(icon("close", ink, colours.faint))

    @Slot(object)
    def _recolour(self, _colours: theme.Theme) -> None:
        self._show_buttons(self.underMouse())

    def event(self, event: QEvent) -> bool:
        """The buttons come forward under the mouse; the dock itself handles dragging."""
        if event.type() is QEvent.Type.Enter:
            self._show_buttons(True)
        elif event.type() is QEvent.Type.Leave:
            self._show_buttons(False)
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Left to the dock, which begins to drag."""
        event.ignore()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Left to the dock, which floats."""
        event.ignore()


class PanelDock(QDockWidget):
    """Holds one panel under the name `panel.NAME`.

    seen_changed(bool): the panel came into sight or left it, behind a tab, closed or minimised.
    """

    seen_changed = Signal(bool)

    def __init__(self, name: str, title: str, panel: QWidget, parent: QWidget) -> None:
        super().__init__(title, parent)
        self.setObjectName(f"panel.{name}")
        self.name = name
        self.panel = panel
        panel.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setWidget(panel)
        self.setTitleBarWidget(PanelHeader(self, title))
        panel.setAccessibleName(title)
        self._seen = False
        self._window_shown = False
        self._dock_shown = False
        self.visibilityChanged.connect(self._dock_visibility_changed)

    def set_window_shown(self, shown: bool) -> None:
        """Say whether the main window itself can be seen."""
        self._window_shown = shown
        self._tell()

    @property
    def is_seen(self) -> bool:
        """Whether the panel is in sight."""
        return self._seen

    def take_focus(self) -> bool:
        """Give the keyboard to the first thing in the panel that takes it; False if nothing does."""
        takers = [self.panel, *self.panel.findChildren(QWidget)]
        for widget in takers:
            if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible() and widget.isEnabled():
                widget.setFocus(Qt.FocusReason.TabFocusReason)
                return True
        return False

    @Slot(bool)
    def _dock_visibility_changed(self, shown: bool) -> None:
        self._dock_shown = shown
        self._tell()

    def _tell(self) -> None:
        seen = self._dock_shown and (self._window_shown or self.isFloating())
        if seen != self._seen:
            self._seen = seen
            cast("Panel", self.panel).set_active(seen)
            self.seen_changed.emit(seen)
