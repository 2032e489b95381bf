"""The row above the map: what a drag does, which view, which layers, and Fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QMenu, QSizePolicy, QToolButton, QWidget

from vae_explorer.gui import theme
from vae_explorer.gui.icons import icon
from vae_explorer.latent.layers import LAYERS
from vae_explorer.latent.view_catalogue import VIEWS, views_for

if TYPE_CHECKING:
    from vae_explorer.gui.session import Session

TOOLS = (
    ("point", "Pin places (P)", "pin"),
    ("lasso", "Select by lasso (L); Shift adds, Ctrl takes away", "lasso"),
    ("rectangle", "Select by rectangle (R); Shift adds, Ctrl takes away", "rectangle"),
)


class MapToolbar(QWidget):
    """The controls of the map.

    tool_chosen(tool); view_chosen(name of a kind of view); fit_clicked(). Layers are changed on `session.map` itself.
    """

    tool_chosen = Signal(str)
    view_chosen = Signal(str)
    fit_clicked = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._map = session.map
        self._tools: dict[str, QToolButton] = {}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 12, 6)
        layout.setSpacing(4)
        for name, help_text, _ in TOOLS:
            button = self._button("", help_text)
            button.setCheckable(True)
            button.setChecked(name == "point")
            button.setIconSize(QSize(16, 16))
            button.clicked.connect(lambda _checked=False, tool=name: self.tool_chosen.emit(tool))
            self._tools[name] = button
            layout.addWidget(button)
        layout.addSpacing(8)
        self.view_button = self._button("View", "Which plane of the latent space the map shows")
        self._view_menu = QMenu(self.view_button)
        self._view_menu.aboutToShow.connect(self._fill_views)
        self.view_button.setMenu(self._view_menu)
        self.layers_button = self._button("Layers", "What is drawn on the map; all of it in the panel “Layers”")
        self._layers_menu = QMenu(self.layers_button)
        self._layers_menu.setToolTipsVisible(True)
        self.layer_actions = {record.name: self._layer_action(record.name) for record in reversed(tuple(LAYERS))}
        self.layers_button.setMenu(self._layers_menu)
        self.fit = self._button("Fit", "Show all codes and follow them while they move (F)")
        self.fit.setCheckable(True)
        self.fit.setChecked(True)
        for button in (self.view_button, self.layers_button):
            button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
            layout.addWidget(button)
        self.classes = QComboBox()
        self.classes.setObjectName("latent_map.class")
        self.classes.setAccessibleName("Class")
        self.classes.setToolTip("The class under which places are decoded (K, Shift+K)")
        self.classes.setVisible(False)
        self.classes.activated.connect(self._choose_class)
        layout.addWidget(self.classes)
        layout.addStretch(1)
        layout.addWidget(self.fit)
        self.fit.clicked.connect(self._fit)
        self._map.view_changed.connect(self._show_view)
        self._map.arranged.connect(self._show_class)
        session.snapshot_changed.connect(self._show_class)
        session.dataset_changed.connect(self._show_class)
        self._map.layer_changed.connect(self._show_layer)
        theme.notifier().changed.connect(self._recolour)
        self._recolour(theme.current())

    def _button(self, text: str, help_text: str) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setToolTip(help_text)
        button.setAccessibleName(text or help_text)
        button.setAutoRaise(False)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        return button

    def _layer_action(self, name: str) -> QAction:
        record = LAYERS[name]
        action = self._layers_menu.addAction(record.title)
        action.setCheckable(True)
        action.setToolTip(record.summary)
        action.setChecked(self._map.layers[name].is_shown)
        action.toggled.connect(lambda is_shown: self._map.set_layer(name, is_shown=is_shown))
        return action

    def show_following(self, is_following: bool) -> None:
        """Whether the map keeps all codes in sight by itself."""
        self.fit.setChecked(is_following)

    @Slot(str)
    def show_tool(self, tool: str) -> None:
        """Which tool a drag uses now."""
        for name, button in self._tools.items():
            button.setChecked(name == tool)

    @Slot(object)
    def _show_view(self, _view: object) -> None:
        choice = self._map.arrangement.view
        self.view_button.setVisible(choice is not None)
        if choice is not None:
            self.view_button.setText(f"View: {VIEWS[choice.name].title}")

    @Slot()
    def _show_class(self, *_news: object) -> None:
        """The class that is chosen, where the model is told one."""
        snapshot, dataset = self._session.snapshot, self._session.dataset
        self.classes.setVisible(self._map.condition == "class")
        if self._map.condition != "class" or snapshot is None:
            return
        count = snapshot.data_space.num_classes
        known = dataset if dataset is not None and dataset.num_classes == count else None
        names = [f"Class {number if known is None else known.class_name(number)}" for number in range(count)]
        if names != [self.classes.itemText(number) for number in range(self.classes.count())]:
            self.classes.clear()
            self.classes.addItems(names)
        told = self._map.arrangement.told
        self.classes.setCurrentIndex(told if told < count else 0)

    @Slot(int)
    def _choose_class(self, number: int) -> None:
        self._map.tell(number, f"choose {self.classes.itemText(number).lower()}")

    def turn_class(self, by: int) -> None:
        """The next class or the one before, round and round; nothing where the model is told none."""
        if self._map.condition == "class" and self.classes.count():
            self._choose_class((self.classes.currentIndex() + by) % self.classes.count())

    @Slot()
    def _fill_views(self) -> None:
        """The views this latent space has; what needs more than a name is made in the panel “View”."""
        self._view_menu.clear()
        dataset, choice = self._session.dataset, self._map.arrangement.view
        group = QActionGroup(self._view_menu)
        for record in views_for(self._map.num_dimensions, dataset is not None and dataset.labels_N is not None):
            action = self._view_menu.addAction(record.title)
            action.setToolTip(record.summary)
            action.setCheckable(True)
            action.setChecked(choice is not None and choice.name == record.name)
            group.addAction(action)
            action.triggered.connect(lambda _checked=False, name=record.name: self.view_chosen.emit(name))

    @Slot(str)
    def _show_layer(self, name: str) -> None:
        self.layer_actions[name].setChecked(self._map.layers[name].is_shown)

    @Slot(object)
    def _recolour(self, colours: theme.Theme) -> None:
        for name, _, picture in TOOLS:
            self._tools[name].setIcon(icon(picture, colours.text, colours.faint))
        self.setStyleSheet(
            f"QToolButton {{ padding: 3px 8px; border: 1px solid transparent; border-radius: 5px; }}"
            f"QToolButton:hover {{ background: {colours.hover}; }}"
            f"QToolButton:checked {{ background: {colours.selection}; border-color: {colours.accent}; }}"
            f"QToolButton:focus {{ border-color: {colours.text}; }}"
        )

    @Slot()
    def _fit(self) -> None:
        self.fit.setChecked(True)
        self.fit_clicked.emit()
