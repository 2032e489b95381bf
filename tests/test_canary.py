"""PySide6 6.12.0 drops references to True and None on Python 3.11 and earlier: each signal and each repaint
takes some.

The count falls to zero within seconds of a live window and the program aborts (`none_dealloc`). Python 3.12
made these objects immortal, which hides it. Before the range of PySide6 in pyproject.toml is widened, this
must pass on Python 3.11.
"""

from __future__ import annotations

import sys

import pytest
from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QWidget

pytestmark = pytest.mark.gui
NUM_SIGNALS = 2_000
NUM_REPAINTS = 200
MOST_LOST = 100


class Sender(QObject):
    told = Signal(bool, object)


class Receiver(QObject):
    heard = 0

    @Slot(bool, object)
    def hear(self, flag: bool, nothing: object) -> None:
        self.heard += flag and nothing is None


class Painted(QWidget):
    num_paints = 0

    def paintEvent(self, event):
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.fillRect(self.rect(), self.palette().window())
        painter.end()
        self.num_paints += 1


def counts() -> tuple[int, int]:
    return sys.getrefcount(None), sys.getrefcount(True)


def test_signals_and_repaints_keep_the_references_to_true_and_none(qtbot):
    sender, receiver, widget = Sender(), Receiver(), Painted()
    qtbot.addWidget(widget)
    sender.told.connect(receiver.hear)
    with qtbot.waitExposed(widget):
        widget.show()
    before = counts()
    for _ in range(NUM_SIGNALS):
        sender.told.emit(True, None)
    for _ in range(NUM_REPAINTS):
        widget.repaint()
    after = counts()
    assert receiver.heard == NUM_SIGNALS
    assert widget.num_paints >= NUM_REPAINTS
    assert all(late > early - MOST_LOST for early, late in zip(before, after, strict=True)), (before, after)
