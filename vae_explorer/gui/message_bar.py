"""Messages that do not block: one card over the lower edge of the window, dismissable, with details to copy.

The newest message is shown; equal ones are counted, not stacked. Notes go by themselves, and what they covered comes
back; warnings and errors stay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.icons import icon
from vae_explorer.gui.session_words import Message, Offer

_NOTE_MS = 8000
_GREATEST_WIDTH = 640
_MARGIN = 16


class MessageBar(QFrame):
    """Shows a session's messages over its parent. `show_near(path)` is called by the "Show" button."""

    def __init__(self, parent: QWidget, show_near: Callable[[str], None], show_details: Callable[[str], None]) -> None:
        super().__init__(parent)
        self.setObjectName("message_bar")
        self.setAccessibleName("Message")
        self.message: Message | None = None
        self._covered: Message | None = None  # the error below a note
        self._window = parent
        self._count = 0
        self._show_near = show_near
        self._show_details = show_details
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.dismiss)
        self._text = QLabel()
        self._text.setObjectName("message_text")
        self._hint = QLabel()
        self._hint.setObjectName("message_hint")
        for label in (self._text, self._hint):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._near_button = self._button("Show", self._go_near)
        self._details_button = self._button("Details", self._open_details)
        self._copy_button = self._button("Copy", self._copy)
        self._dismiss_button = QToolButton()
        self._dismiss_button.setAccessibleName("Dismiss message")
        self._dismiss_button.setToolTip("Dismiss")
        self._dismiss_button.clicked.connect(self.dismiss)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._text)
        words.addWidget(self._hint)
        self._offers = QHBoxLayout()
        self._offers.setSpacing(8)
        self._offers.setContentsMargins(0, 6, 0, 0)
        words.addLayout(self._offers)
        layout = self._layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 10, 8, 10)
        layout.setSpacing(4)
        layout.addLayout(words, 1)
        for button in (self._near_button, self._details_button, self._copy_button, self._dismiss_button):
            layout.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()
        parent.installEventFilter(self)
        theme.notifier().changed.connect(self._recolour)
        self._recolour(theme.current())

    def _button(self, text: str, slot: Callable[[], None]) -> QPushButton:
        button = QPushButton(text)
        button.setProperty("variant", "quiet")
        button.clicked.connect(slot)
        return button

    @Slot(object)
    def show_message(self, message: Message) -> None:
        """Show a message in place of the last; an error that a note covers comes back after it."""
        if message.kind != "info":
            self._covered = None
        elif self.message is not None and self.message.kind == "error":
            self._covered = self.message
        repeated = self.message is not None and self.message.text == message.text
        self._count = self._count + 1 if repeated else 1
        self.message = message
        self._text.setText(f"{message.text} ({self._count} times)" if self._count > 1 else message.text)
        self._hint.setText(message.hint)
        self._hint.setVisible(bool(message.hint))
        self._show_offers(message.offers)
        self._near_button.setVisible(message.near is not None)
        self._details_button.setVisible(bool(message.details))
        self._copy_button.setVisible(message.kind != "info")
        self.setProperty("kind", message.kind)
        self.style().unpolish(self)
        self.style().polish(self)
        if message.kind == "info" and not message.offers:
            self._timer.start(_NOTE_MS)
        else:
            self._timer.stop()
        self.show()
        self.raise_()
        self._place()

    def _show_offers(self, offers: tuple[Offer, ...]) -> None:
        while (item := self._offers.takeAt(0)) is not None:
            if (button := item.widget()) is not None:
                button.hide()
                button.deleteLater()
        for number, offer in enumerate(offers):
            button = QPushButton(offer.label)
            button.setProperty("variant", "primary" if number == 0 else "quiet")
            button.clicked.connect(partial(self._accept, offer))
            self._offers.addWidget(button)
        if offers:
            self._offers.addStretch(1)

    def _accept(self, offer: Offer) -> None:
        self.dismiss()
        offer.accept()

    @Slot(str)
    def settle(self, place: str) -> None:
        """What was wrong at this place is mended: its message goes."""
        if self._covered is not None and self._covered.near == place:
            self._covered = None
        if self.message is not None and self.message.near == place and self.message.kind != "info":
            self.dismiss()

    @Slot()
    def dismiss(self) -> None:
        """Take the message away; what it covered is seen again."""
        self._timer.stop()
        self.message, covered = None, self._covered
        self.hide()
        if covered is not None:
            self.show_message(covered)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay over the lower edge of the parent."""
        if event.type() is QEvent.Type.Resize and self.isVisible():
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        width = min(_GREATEST_WIDTH, self._window.width() - 2 * _MARGIN)
        self._layout.activate()
        height = max(self._layout.heightForWidth(width), self.minimumSizeHint().height())
        # Above the status bar, where it hides the least.
        top = self._window.height() - height - 2 * _MARGIN - 12
        self.setGeometry((self._window.width() - width) // 2, top, width, height)

    @Slot(object)
    def _recolour(self, colours: theme.Theme) -> None:
        self._dismiss_button.setIcon(icon("close", colours.muted, colours.faint))

    @Slot()
    def _go_near(self) -> None:
        if self.message is not None and self.message.near is not None:
            self._show_near(self.message.near)

    @Slot()
    def _open_details(self) -> None:
        if self.message is not None:
            self._show_details(self.message.details)

    @Slot()
    def _copy(self) -> None:
        if self.message is not None:
            lines = (self.message.text, self.message.hint, self.message.details)
            QGuiApplication.clipboard().setText("\n".join(line for line in lines if line))
