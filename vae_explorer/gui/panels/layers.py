"""The layers of the map: an eye, an opacity, choices, a legend with its unit and a line of numbers for each."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, QTimer, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from vae_explorer.config import settings_of
from vae_explorer.errors import UserError
from vae_explorer.gui import theme
from vae_explorer.gui.icons import icon
from vae_explorer.gui.session_words import State
from vae_explorer.gui.widgets.map_legend import MapLegend
from vae_explorer.gui.widgets.setting_editors import as_editor, make_editor, parsed
from vae_explorer.latent.layers import LAYERS, LayerRecord

if TYPE_CHECKING:
    from vae_explorer.config import Setting
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.drawing import LayerDrawing


_LAGS = 2.5  # times the rate that a layer has at best
_WORDS = {
    "label": "class", "none": "one colour", "elbo": "ELBO", "reconstruction": "reconstruction error", "kl": "KL",
    "distance": "distance", "aggregate": "q(z)", "fisher": "Fisher information", "mean": "mean pictures",
    "round-trip": "round trip",
}  # fmt: skip
"""Names of choices as a person reads them, where that is not the name itself."""


class LayersPanel(QScrollArea):
    """The panel `panel.layers`: the topmost layer first, as they lie on the map."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._map = session.map
        self._is_active = False
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        content = QWidget()
        layout = self._layout = QVBoxLayout(content)
        layout.setContentsMargins(12, 8, 12, 12)
        layout.setSpacing(2)
        self.rows = {record.name: LayerRow(session, record) for record in reversed(tuple(LAYERS))}
        for row in self.rows.values():
            layout.addWidget(row)
        layout.addStretch(1)
        self.setWidget(content)
        self._map.layer_drawn.connect(self._show_drawing)
        self._map.layer_told.connect(self._tell)
        self._map.layer_changed.connect(self._bring_into_sight)
        self._ageing = QTimer(self)
        self._ageing.setInterval(1000)
        self._ageing.timeout.connect(self._show_ages)
        session.state_changed.connect(self._follow_training)

    @Slot(str)
    def _bring_into_sight(self, name: str) -> None:
        """What was just opened, by its key or by the menu, is what one wants to read."""
        if self._map.layers[name].is_shown and not self.rows[name].hasFocus():
            self._layout.activate()
            self.ensureWidgetVisible(self.rows[name], 0, 8)

    def set_active(self, visible: bool) -> None:
        """In sight it says how old a drawing is that training has left behind."""
        self._is_active = visible
        self._follow_training()

    @Slot(object)
    def _follow_training(self, _state: object = None) -> None:
        if self._is_active and self.session.state is State.TRAINING:
            self._ageing.start()
        else:
            self._ageing.stop()
        self._show_ages()

    @Slot()
    def _show_ages(self) -> None:
        is_training = self.session.state is State.TRAINING
        now = time.monotonic()
        for row in self.rows.values():
            row.show_age(now, is_training=is_training)

    @Slot(str, object)
    def _show_drawing(self, name: str, drawing: LayerDrawing | None) -> None:
        self.rows[name].show_drawing(drawing)

    @Slot(str, str)
    def _tell(self, name: str, text: str) -> None:
        self.rows[name].tell(text)


class LayerRow(QWidget):
    """One layer: eye, title, opacity; unfolded while it is shown."""

    def __init__(self, session: Session, record: LayerRecord) -> None:
        super().__init__()
        self._map = session.map
        self.record = record
        self.setObjectName(f"layer.{record.name}")
        self.eye = QToolButton()
        self.eye.setCheckable(True)
        self.eye.setAutoRaise(True)
        self.eye.setIconSize(QSize(16, 16))
        self.eye.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.eye.setAccessibleName(f"Show the layer {record.title.lower()}")
        self.eye.setToolTip(f"Show or hide the layer “{record.title}”")
        self.title = QLabel(record.title)
        self.title.setToolTip(f"{record.summary}\n{record.legend}\n{record.cost}\n{record.reference}")
        self.title.setMinimumWidth(10)
        self.title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.age = QLabel()
        self.age.setProperty("variant", "muted")
        self.age.setToolTip("How long ago this layer was drawn. All layers share what looking may take from training.")
        self._drawn_at = 0.0
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(10, 100)
        self.opacity.setFixedWidth(64)
        self.opacity.setToolTip(f"Opacity of the layer “{record.title}”")
        self.opacity.setAccessibleName(f"Opacity of the layer {record.title.lower()}, in percent")
        self.summary = _text(record.summary, "muted")
        self.readout = _text("", "")
        self.note = _text("", "warning")
        self.legend = MapLegend(has_title=True)
        self._editors: dict[str, tuple[Setting, QWidget]] = {}
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 4, 0, 6)
        layout.setHorizontalSpacing(6)
        layout.setVerticalSpacing(3)
        layout.setColumnStretch(1, 1)
        layout.addWidget(self.eye, 0, 0)
        layout.addWidget(self.title, 0, 1)
        layout.addWidget(self.age, 0, 2)
        layout.addWidget(self.opacity, 0, 3)
        self._more = QWidget()
        more = QVBoxLayout(self._more)
        more.setContentsMargins(0, 0, 0, 4)
        more.setSpacing(4)
        more.addWidget(self.summary)
        if settings_of(record.options_type):
            more.addLayout(self._option_rows())
        for widget in (self.legend, self.readout, self.note):
            more.addWidget(widget)
        layout.addWidget(self._more, 1, 1, 1, 3)
        self.eye.toggled.connect(self._switched)
        self.opacity.valueChanged.connect(self._faded)
        self._map.layer_changed.connect(self._follow)
        theme.notifier().changed.connect(self._recolour)
        self._follow(record.name)

    def _option_rows(self) -> QGridLayout:
        rows = QGridLayout()
        rows.setHorizontalSpacing(8)
        rows.setVerticalSpacing(3)
        rows.setColumnStretch(1, 1)
        for number, setting in enumerate(settings_of(self.record.options_type)):
            editor = make_editor(setting)
            if isinstance(editor, QComboBox):
                for row in range(editor.count()):
                    name = str(editor.itemData(row))
                    editor.setItemText(row, _WORDS.get(name, name))
            editor.setToolTip(setting.help)
            editor.setAccessibleName(f"{self.record.title}: {setting.label}")
            editor.setMinimumWidth(60)
            editor.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            label = QLabel(setting.label)
            label.setProperty("variant", "muted")
            rows.addWidget(label, number, 0)
            rows.addWidget(editor, number, 1)
            as_editor(editor).committed.connect(lambda _value=None, name=setting.name: self._choose(name))
            self._editors[setting.name] = (setting, editor)
        return rows

    def show_drawing(self, drawing: LayerDrawing | None) -> None:
        """Legend and numbers of what is on the map now; what was there stays while nothing is under the mouse."""
        self._drawn_at = time.monotonic() if drawing is not None else 0.0
        self.age.clear()
        if drawing is not None and (drawing.legend is not None or drawing.readout):
            self.legend.show_legend(drawing.legend)
            self.readout.setText(drawing.readout)
        self.readout.setVisible(bool(self.readout.text()))
        self.note.hide()
        self._keep_room()

    def _keep_room(self) -> None:
        """Legend and read-out only grow while the layer is shown: rows below must not move with the mouse."""
        layout = self._more.layout()
        if self._more.isVisible() and layout is not None:
            room = layout.totalHeightForWidth(max(self._more.width(), 80))
            self._more.setMinimumHeight(max(self._more.minimumHeight(), room))

    def show_age(self, now: float, *, is_training: bool) -> None:
        """Say how old what is on the map is, where training has left it behind by more than the layer's own rate."""
        seconds = now - self._drawn_at
        lags = is_training and self._drawn_at > 0.0 and seconds > _LAGS * max(self.record.seconds_between, 1.0)
        self.age.setText(f"{seconds:.0f} s old" if lags and self._map.layers[self.record.name].is_shown else "")

    def tell(self, text: str) -> None:
        """Why the layer cannot be drawn."""
        self.legend.show_legend(None)
        self.readout.hide()
        self.note.setText(text)
        self.note.show()

    @Slot(bool)
    def _switched(self, is_shown: bool) -> None:
        self._map.set_layer(self.record.name, is_shown=is_shown)

    @Slot(int)
    def _faded(self, percent: int) -> None:
        self._map.set_layer(self.record.name, opacity=percent / 100)

    def _choose(self, name: str) -> None:
        setting, widget = self._editors[name]
        options = self._map.layers[self.record.name].options
        try:
            value = parsed(setting, as_editor(widget))
        except UserError as error:
            self.tell(error.in_one_line)
            return
        self._more.setMinimumHeight(0)  # another choice may have a shorter legend
        self._map.set_layer(self.record.name, options=replace(options, **{name: value}))

    @Slot(str)
    def _follow(self, name: str) -> None:
        if name != self.record.name:
            return
        state = self._map.layers[name]
        self.eye.setChecked(state.is_shown)
        self.opacity.setValue(round(state.opacity * 100))
        self.opacity.setVisible(state.is_shown)
        self._more.setVisible(state.is_shown)
        for key, (_, widget) in self._editors.items():
            as_editor(widget).show_value(getattr(state.options, key))
        if not state.is_shown:
            self.legend.show_legend(None)
            self.readout.clear()
            self._more.setMinimumHeight(0)
            self.show_drawing(None)
        self._recolour(theme.current())

    @Slot(object)
    def _recolour(self, colours: theme.Theme) -> None:
        is_shown = self._map.layers[self.record.name].is_shown
        name, ink = ("eye", colours.text) if is_shown else ("eye_off", colours.faint)
        self.eye.setIcon(icon(name, ink, colours.faint))
        self.title.setStyleSheet("font-weight: 600;" if is_shown else f"color: {colours.muted};")
        self.note.setStyleSheet(f"color: {colours.warning};")


def _text(text: str, variant: str) -> QLabel:
    label = QLabel(text)
    label.setProperty("variant", variant)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setMinimumWidth(10)
    label.setVisible(bool(text))
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
