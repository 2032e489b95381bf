"""The row above the map: which layers are seen and how strongly, which dimensions span the plane, and Fit."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSlider,
    QWidget,
)

from vae_explorer.gui import theme


class LayerSwitch(QWidget):
    """A check box and an opacity slider for one layer.

    changed(): the layer was switched or its opacity moved.
    """

    changed = Signal()

    def __init__(self, title: str, help_text: str, opacity: float) -> None:
        super().__init__()
        self._box = QCheckBox(title)
        self._box.setChecked(True)
        self._box.setToolTip(help_text)
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(10, 100)
        self._slider.setValue(round(opacity * 100))
        self._slider.setFixedWidth(64)
        self._slider.setToolTip(f"Opacity of the layer “{title.lower()}”")
        self._slider.setAccessibleName(f"Opacity of the layer {title.lower()}")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._box)
        layout.addWidget(self._slider)
        self._box.toggled.connect(self._switched)
        self._slider.valueChanged.connect(self._moved)

    @property
    def is_shown(self) -> bool:
        """Whether the layer is seen."""
        return self._box.isChecked()

    @property
    def opacity(self) -> float:
        """From 0.1 to 1."""
        return self._slider.value() / 100

    def show_layer(self, is_shown: bool) -> None:
        """Switch the layer."""
        self._box.setChecked(is_shown)

    @Slot(bool)
    def _switched(self, is_shown: bool) -> None:
        self._slider.setEnabled(is_shown)
        self.changed.emit()

    @Slot(int)
    def _moved(self, _value: int) -> None:
        self.changed.emit()


class MapToolbar(QWidget):
    """The controls of the map.

    manifold_changed(), codes_changed(): a layer's switch or opacity; dimensions_chosen(i, j) from 0; fit_clicked().
    """

    manifold_changed = Signal()
    codes_changed = Signal()
    dimensions_chosen = Signal(int, int)
    fit_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.manifold = LayerSwitch(
            "Decoded manifold", "What the decoder makes of each place, drawn where it stands", 0.55
        )
        self.codes = LayerSwitch("Codes", "The posterior means of all images", 0.8)
        self._axes = (QComboBox(), QComboBox())
        self._dimensions = QWidget()
        axes = QHBoxLayout(self._dimensions)
        axes.setContentsMargins(0, 0, 0, 0)
        axes.setSpacing(4)
        for name, box in zip(("x", "y"), self._axes, strict=True):
            label = QLabel(name)
            label.setProperty("variant", "muted")
            box.setAccessibleName(f"Latent dimension along {name}")
            box.setToolTip(f"The latent dimension along {name}")
            axes.addWidget(label)
            axes.addWidget(box)
            box.activated.connect(self._choose)
        self._dimensions.hide()
        self.fit = QPushButton("Fit")
        self.fit.setToolTip("Show all codes and follow them while they move (F)")
        self.fit.setCheckable(True)
        self.fit.setChecked(True)
        self.fit.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 12, 6)
        layout.setSpacing(14)
        layout.addWidget(self.manifold)
        layout.addWidget(self.codes)
        layout.addStretch(1)
        layout.addWidget(self._dimensions)
        layout.addWidget(self.fit)
        self.manifold.changed.connect(self.manifold_changed)
        self.codes.changed.connect(self.codes_changed)
        self.fit.clicked.connect(self._fit)
        theme.notifier().changed.connect(self._recolour)
        self._recolour(theme.current())

    def set_dimensions(self, names: Sequence[str], i: int, j: int) -> None:
        """Offer these latent dimensions with i and j chosen; two or fewer need no choice."""
        for box, chosen in zip(self._axes, (i, j), strict=True):
            if [box.itemText(row) for row in range(box.count())] != list(names):
                box.clear()
                box.addItems(list(names))
            box.setCurrentIndex(min(chosen, len(names) - 1))
        self._dimensions.setVisible(len(names) > 2)

    def show_following(self, is_following: bool) -> None:
        """Whether the map keeps all codes in sight by itself."""
        self.fit.setChecked(is_following)

    @Slot(int)
    def _choose(self, _row: int) -> None:
        i, j = (box.currentIndex() for box in self._axes)
        if i == j:
            # One dimension twice spans no plane: the other axis takes the one that is now free.
            j_box = self._axes[1] if self.sender() is self._axes[0] else self._axes[0]
            j_box.setCurrentIndex((i + 1) % j_box.count())
            i, j = (box.currentIndex() for box in self._axes)
        self.dimensions_chosen.emit(i, j)

    @Slot(object)
    def _recolour(self, colours: theme.Theme) -> None:
        self.fit.setStyleSheet(
            f"QPushButton:checked {{ background: {colours.selection}; border-color: {colours.accent}; }}"
            f"QPushButton:checked:focus {{ border-color: {colours.text}; }}"
        )

    @Slot()
    def _fit(self) -> None:
        self.fit.setChecked(True)
        self.fit_clicked.emit()
