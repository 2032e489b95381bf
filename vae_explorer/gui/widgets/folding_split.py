"""A part and the pages that belong to it: beside or above each other, or all behind tabs, as the room allows."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QTabWidget, QVBoxLayout, QWidget

_FIRST_WIDTH = 200
_WIDE = 1.2  # so many times as wide as high, the parts stand beside each other


class FoldingSplit(QWidget):
    """Pages stand behind tabs in any case; the part joins them where it has no room beside them.

    `chosen_sizes` is how a person has split the room, None where nobody has.
    """

    def __init__(
        self, part: QWidget, part_title: str, pages: Sequence[tuple[QWidget, str]], shares: tuple[int, int]
    ) -> None:
        super().__init__()
        self._part, self._part_title, self._page = part, part_title, pages[0][0]
        self.pages = QTabWidget()
        self.pages.setDocumentMode(True)
        self.pages.setUsesScrollButtons(False)
        for page, title in pages:
            self.pages.addTab(page, title)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(10)
        for place, (widget, share) in enumerate(zip((part, self.pages), shares, strict=True)):
            self.splitter.addWidget(widget)
            self.splitter.setStretchFactor(place, share)
        self.splitter.setSizes([share * _FIRST_WIDTH for share in shares])
        self.splitter.splitterMoved.connect(self._choose)
        self.is_folded = self._is_chosen = False
        self._sizes = self.splitter.sizes()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.splitter)

    @property
    def chosen_sizes(self) -> list[int] | None:
        """In logical pixels, of the part and of the pages."""
        if not self._is_chosen:
            return None
        return self._sizes if self.is_folded else self.splitter.sizes()

    def choose_sizes(self, sizes: Sequence[int]) -> None:
        """Split the room so, now or when there is room again."""
        self._sizes, self._is_chosen = list(sizes), True
        if not self.is_folded:
            self.splitter.setSizes(self._sizes)

    @Slot(int, int)
    def _choose(self, _place: int, _number: int) -> None:
        self._is_chosen = True

    def _fold(self, is_folded: bool) -> None:
        if is_folded == self.is_folded:
            return
        self.is_folded = is_folded
        if is_folded:
            self._sizes = self.splitter.sizes()
            self.pages.insertTab(0, self._part, self._part_title)
            self.pages.setCurrentIndex(0)
        else:
            self.pages.removeTab(0)
            self.splitter.insertWidget(0, self._part)
            self._part.show()
            self.splitter.setSizes(self._sizes)

    def _has_room_for_both(self, is_wide: bool) -> bool:
        part, page, handle = self._part.minimumSizeHint(), self._page.minimumSizeHint(), self.splitter.handleWidth()
        if is_wide:
            return part.width() + handle + page.width() <= self.width()
        tabs = self.pages.tabBar().sizeHint().height()
        return part.height() + handle + tabs + page.height() <= self.height()

    def minimumSizeHint(self) -> QSize:
        """Of one part behind its tab: no window is made larger for two."""
        part, pages, tabs = self._part.minimumSizeHint(), self.pages.minimumSizeHint(), self.pages.tabBar().sizeHint()
        return QSize(max(part.width(), pages.width()), max(part.height() + tabs.height(), pages.height()))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Side by side in a wide place, above each other in a tall one, folded in a small one."""
        super().resizeEvent(event)
        is_wide = self.width() > _WIDE * self.height()
        self._fold(not self._has_room_for_both(is_wide))
        self.splitter.setOrientation(Qt.Orientation.Horizontal if is_wide else Qt.Orientation.Vertical)
