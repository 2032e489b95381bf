"""The rows of controls of a code grid: whose grid it is, draws of the prior and their temperature, a cell's code."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QLabel, QPushButton, QSlider, QSpinBox, QWidget

from vae_explorer.gui.widgets.count_box import count_box
from vae_explorer.gui.widgets.flow_layout import FlowLayout
from vae_explorer.latent.codebook_view import COLDEST, HOTTEST

_HIGHEST = 99_999
_STEPS_A_UNIT: Final = 100


class CodeGridControls(QWidget):
    """What the person sets. Showing a value tells nobody.

    item_chosen(int). draw_clicked(). temperature_moved(float); temperature_began(): a drag or a key begins.
    code_chosen(int): for the chosen cell. put_clicked(): the code looked at goes there. revert_clicked().
    """

    item_chosen = Signal(int)
    draw_clicked = Signal()
    temperature_moved = Signal(float)
    temperature_began = Signal()
    code_chosen = Signal(int)
    put_clicked = Signal()
    revert_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.item = _number_box("Image whose grid is shown", "image ")
        self.item.setToolTip("The grid of this image of the data set")
        self.item.valueChanged.connect(self.item_chosen)
        self.draw = QPushButton("New draw")
        self.draw.setToolTip("Draw a grid cell by cell from the learned prior, or from the uniform one before that")
        self.draw.clicked.connect(self.draw_clicked)
        self.temperature = QSlider(Qt.Orientation.Horizontal)
        self.temperature.setRange(round(COLDEST * _STEPS_A_UNIT), round(HOTTEST * _STEPS_A_UNIT))
        self.temperature.setValue(_STEPS_A_UNIT)
        self.temperature.setSingleStep(5)
        self.temperature.setPageStep(25)
        self.temperature.setFixedWidth(80)
        self.temperature.setAccessibleName("Temperature of the prior")
        self.temperature.setToolTip("Logits of the prior are divided by it: cold draws keep to likely codes")
        self.temperature.sliderPressed.connect(self.temperature_began)
        self.temperature.valueChanged.connect(self._tell_temperature)
        self.temperature_text = QLabel()
        self.temperature_text.setProperty("variant", "muted")
        self.temperature_text.setFixedWidth(self.fontMetrics().horizontalAdvance("temperature 0.00 ") + 4)
        self.code = _number_box("Code of the chosen cell", "code ")
        self.code.setToolTip("Another code for the chosen cell of the grid")
        self.code.valueChanged.connect(self.code_chosen)
        self.put = QPushButton("Put code there")
        self.put.setToolTip(
            "The code that is looked at goes into the chosen cell; Enter or a double click on a code does it too"
        )
        self.put.clicked.connect(self.put_clicked)
        self.revert = QPushButton("Revert")
        self.revert.setToolTip("Give every cell its own code back; Delete does it for one")
        self.revert.clicked.connect(self.revert_clicked)
        flow = FlowLayout(horizontal_spacing=8, vertical_spacing=4)
        flow.add(self.item, self.draw, self.temperature, self.temperature_text, self.code, self.put, self.revert)
        self.setLayout(flow)
        self.show_temperature(1.0)
        self.show_code(None, 1)

    def show_item(self, item: int | None, num_items: int) -> None:
        """The image, or none where the grid is a draw."""
        self._quietly(self.item, item if item is not None else self.item.value(), max(num_items - 1, 0))

    def show_temperature(self, temperature: float) -> None:
        """The temperature of draws."""
        was = self.temperature.blockSignals(True)
        self.temperature.setValue(round(temperature * _STEPS_A_UNIT))
        self.temperature.blockSignals(was)
        self.temperature_text.setText(f"temperature {temperature:.2f}")

    def show_code(self, code: int | None, num_codes: int) -> None:
        """The code of the chosen cell; None where no cell is chosen."""
        self.code.setEnabled(code is not None)
        self._quietly(self.code, code or 0, num_codes - 1)

    def _quietly(self, box: QSpinBox, value: int, most: int) -> None:
        was = box.blockSignals(True)
        box.setMaximum(most)
        box.setValue(value)
        box.blockSignals(was)

    @Slot(int)
    def _tell_temperature(self, steps: int) -> None:
        if not self.temperature.isSliderDown():
            self.temperature_began.emit()
        self.temperature_text.setText(f"temperature {steps / _STEPS_A_UNIT:.2f}")
        self.temperature_moved.emit(steps / _STEPS_A_UNIT)


def _number_box(name: str, prefix: str) -> QSpinBox:
    box = count_box(name, 0, _HIGHEST, prefix=prefix)
    box.setFixedWidth(box.fontMetrics().horizontalAdvance(f"{prefix}{_HIGHEST}") + 50)
    return box
