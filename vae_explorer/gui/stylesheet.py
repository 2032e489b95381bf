"""The style sheet of the window, written once over a theme's colours.

Spacing steps are 4, 8, 12 and 16 px, corners 4 and 6 px. Widgets choose a variant by a dynamic property:
`variant` = "primary", "quiet", "header", "title", "muted", "card", "monospace".
"""

from __future__ import annotations

from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vae_explorer.gui.theme import Theme

_SHEET = Template("""
* { outline: none; }
QMainWindow, QDialog { background: $background; color: $text; }
QMainWindow::separator { background: $background; width: 6px; height: 6px; }
QMainWindow::separator:hover { background: $border_strong; }
QWidget { color: $text; }
QWidget:disabled { color: $faint; }
QToolTip { background: $raised; color: $text; border: 1px solid $border_strong; padding: 4px 6px; }

QLabel { background: transparent; }
QLabel[variant="muted"] { color: $muted; }
QLabel[variant="header"] { color: $muted; font-weight: 600; }
QLabel[variant="title"] { color: $text; font-size: 15pt; font-weight: 600; }

QDockWidget { background: $panel; }
QDockWidget > QWidget { background: $panel; }
#panel_header { background: $panel; border-bottom: 1px solid $border; }
#panel_header QLabel { color: $muted; font-weight: 600; }
#panel_header QToolButton { border: 1px solid transparent; border-radius: 4px; padding: 2px; background: transparent; }
#panel_header QToolButton:hover { background: $hover; }
#panel_header QToolButton:focus { border-color: $accent; }

QMenuBar { background: $background; color: $text; padding: 2px 6px 0 6px; spacing: 2px; }
QMenuBar::item { background: transparent; padding: 4px 8px; border-radius: 4px; }
QMenuBar::item:selected { background: $hover; }
QMenuBar::item:pressed { background: $pressed; }
QMenu { background: $panel; color: $text; border: 1px solid $border_strong; padding: 4px; }
QMenu::item { padding: 5px 28px 5px 12px; border-radius: 4px; margin: 0 2px; }
QMenu::item:selected { background: $selection; color: $text; }
QMenu::item:disabled { color: $faint; }
QMenu::separator { height: 1px; background: $border; margin: 4px 8px; }
QMenu::icon { padding-left: 8px; }
QMenu::indicator { width: 14px; height: 14px; margin-left: 6px; }
QMenu::indicator:checked { image: url(icons:check.svg); }

QToolBar { background: $background; border: none; spacing: 4px; padding: 2px 8px 6px 8px; }
QToolBar::separator { background: $border_strong; width: 1px; margin: 6px 6px; }
QToolBar QToolButton {
    background: transparent; color: $text; border: 1px solid transparent; border-radius: 6px; padding: 5px 10px;
}
QToolBar QToolButton:hover { background: $hover; }
QToolBar QToolButton:pressed { background: $pressed; }
QToolBar QToolButton:disabled { color: $faint; }
QToolBar QToolButton:focus { border-color: $accent; }
QToolBar QToolButton[variant="primary"] {
    background: $accent; color: $accent_text; font-weight: 600; padding: 5px 14px;
}
QToolBar QToolButton[variant="primary"]:hover { background: $accent_hover; }
QToolBar QToolButton[variant="primary"]:focus { border-color: $text; }
QToolBar QToolButton[variant="primary"]:disabled { background: $raised; color: $faint; border-color: $border; }

QStatusBar { background: $background; color: $muted; border-top: 1px solid $border; }
QStatusBar::item { border: none; }
QStatusBar QLabel { color: $muted; padding: 0 6px; }
QSizeGrip { width: 12px; height: 12px; background: transparent; }

QDialogButtonBox, QMessageBox, QFileDialog { dialogbuttonbox-buttons-have-icons: 0; }
QPushButton {
    background: $raised; color: $text; border: 1px solid $border_strong; border-radius: 6px; padding: 5px 14px;
    min-height: 18px;
}
QPushButton:hover { background: $hover; }
QPushButton:pressed { background: $pressed; }
QPushButton:focus { border-color: $accent; }
QPushButton:disabled { color: $faint; border-color: $border; }
QPushButton:default, QPushButton[variant="primary"] {
    background: $accent; color: $accent_text; border-color: $accent;
}
QPushButton[variant="primary"] { font-weight: 600; }
QPushButton:default:hover, QPushButton[variant="primary"]:hover {
    background: $accent_hover; border-color: $accent_hover;
}
QPushButton:default:focus, QPushButton[variant="primary"]:focus, QPushButton:checked:focus { border-color: $text; }
QPushButton:default:disabled, QPushButton[variant="primary"]:disabled {
    background: $raised; color: $faint; border-color: $border;
}
QPushButton[variant="quiet"] { background: transparent; border-color: transparent; padding: 3px 8px; color: $muted; }
QPushButton[variant="quiet"]:hover { background: $hover; color: $text; }
QPushButton[variant="quiet"]:checked { background: $selection; color: $text; }
QPushButton[variant="quiet"]:focus { border-color: $accent; }

QToolButton {
    background: transparent; border: 1px solid transparent; border-radius: 4px; padding: 3px 6px; color: $text;
}
QToolButton:hover { background: $hover; }
QToolButton:pressed { background: $pressed; }
QToolButton:checked { background: $selection; }
QToolButton:focus { border-color: $accent; }
QToolButton:disabled { color: $faint; }
QToolButton::menu-indicator { image: none; }

QLineEdit, QAbstractSpinBox, QComboBox, QPlainTextEdit, QTextEdit {
    background: $raised; color: $text; border: 1px solid $border; border-radius: 6px; padding: 3px 8px;
    selection-background-color: $accent; selection-color: $accent_text;
}
QLineEdit, QAbstractSpinBox, QComboBox { min-height: 20px; }
QLineEdit:hover, QAbstractSpinBox:hover, QComboBox:hover { border-color: $border_strong; }
QLineEdit:focus, QAbstractSpinBox:focus, QComboBox:focus, QPlainTextEdit:focus, QTextEdit:focus {
    border-color: $accent;
}
QLineEdit:disabled, QAbstractSpinBox:disabled, QComboBox:disabled { color: $faint; background: $panel; }
QLineEdit[invalid="true"], QAbstractSpinBox[invalid="true"], QComboBox[invalid="true"] {
    border-color: $error; background: $error_ground;
}
QAbstractSpinBox { padding-right: 20px; }
QAbstractSpinBox QLineEdit { background: transparent; border: none; padding: 0; min-height: 0; }
QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {
    background: transparent; border: none; width: 16px; subcontrol-origin: border; margin-right: 3px;
}
QAbstractSpinBox::up-button { subcontrol-position: top right; margin-top: 2px; }
QAbstractSpinBox::down-button { subcontrol-position: bottom right; margin-bottom: 2px; }
QAbstractSpinBox::up-button:hover, QAbstractSpinBox::down-button:hover { background: $pressed; border-radius: 3px; }
QAbstractSpinBox::up-arrow { image: url(icons:chevron-up.svg); width: 8px; height: 8px; }
QAbstractSpinBox::down-arrow { image: url(icons:chevron-down.svg); width: 8px; height: 8px; }
QComboBox { padding-right: 22px; }
QComboBox::drop-down { border: none; width: 20px; subcontrol-origin: border; subcontrol-position: center right; }
QComboBox::down-arrow { image: url(icons:chevron-down.svg); width: 10px; height: 10px; }
QComboBox QAbstractItemView {
    background: $panel; color: $text; border: 1px solid $border_strong; padding: 4px;
    selection-background-color: $selection; selection-color: $text;
}
QComboBoxPrivateContainer { background: $panel; border: none; }
QComboBox[variant="quiet"] { background: transparent; border-color: transparent; color: $muted; }
QComboBox[variant="quiet"]:hover { background: $hover; color: $text; }
QComboBox[variant="quiet"]:focus { border-color: $accent; }
QPlainTextEdit[variant="monospace"], QTextEdit[variant="monospace"] { padding: 8px; }

QCheckBox, QRadioButton { spacing: 8px; background: transparent; }
QCheckBox::indicator {
    width: 15px; height: 15px; border-radius: 4px; border: 1px solid $border_strong; background: $raised;
}
QCheckBox::indicator:hover, QCheckBox::indicator:focus { border-color: $accent; }
QCheckBox::indicator:checked { background: $accent; border-color: $accent; image: url(icons:check-$check.svg); }
QCheckBox::indicator:checked:focus { border-color: $text; }
QCheckBox:focus, QRadioButton:focus { text-decoration: underline; }
QCheckBox::indicator:disabled { border-color: $border; background: $panel; }
QRadioButton::indicator {
    width: 13px; height: 13px; border-radius: 7px; border: 1px solid $border_strong; background: $raised;
}
QRadioButton::indicator:checked { border: 4px solid $accent; background: $accent_text; width: 7px; height: 7px; }

QSlider { background: transparent; min-height: 18px; }
QSlider::groove:horizontal { height: 4px; border-radius: 2px; background: $pressed; }
QSlider::sub-page:horizontal { background: $accent; border-radius: 2px; }
QSlider::handle:horizontal {
    width: 14px; height: 14px; margin: -5px 0; border-radius: 7px; background: $panel; border: 1px solid $border_strong;
}
QSlider::handle:horizontal:hover { border-color: $accent; }
QSlider::handle:horizontal:focus { border: 2px solid $text; width: 12px; height: 12px; }

QProgressBar { background: $pressed; border: none; border-radius: 2px; max-height: 4px; min-height: 4px; }
QProgressBar::chunk { background: $accent; border-radius: 2px; }

QGroupBox { border: none; margin-top: 20px; padding: 0; font-weight: 600; }
QGroupBox::title { subcontrol-origin: margin; subcontrol-position: top left; color: $muted; padding: 0; }

QScrollArea, QAbstractScrollArea { background: $panel; border: none; }
QScrollArea > QWidget > QWidget { background: $panel; }
QScrollBar:vertical { background: transparent; width: 10px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 0; }
QScrollBar::handle { background: $border_strong; border-radius: 3px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::handle:hover { background: $faint; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QTabBar { background: $panel; qproperty-drawBase: 0; }
QTabBar::tab {
    background: transparent; color: $muted; padding: 6px 12px; border: none; border-bottom: 2px solid transparent;
}
QTabBar::tab:hover { color: $text; }
QTabBar::tab:selected { color: $text; border-bottom-color: $accent; }
QTabBar::tab:selected:focus { color: $accent; text-decoration: underline; }
QTabBar::tab:bottom { border-bottom: none; border-top: 2px solid transparent; padding: 5px 12px 6px 12px; }
QTabBar::tab:bottom:selected { border-top-color: $accent; }
QTabWidget::pane { border: none; }

QTreeView, QListView, QTableView {
    background: $panel; alternate-background-color: $raised; border: 1px solid $border; border-radius: 6px;
    selection-background-color: $selection; selection-color: $text; gridline-color: $border;
}
QListView::item, QTreeView::item { padding: 4px 6px; border-radius: 4px; }
QListView::item:hover, QTreeView::item:hover { background: $hover; }
QListView::item:selected, QTreeView::item:selected { background: $selection; color: $text; }
QListView::indicator, QTreeView::indicator, QTableView::indicator {
    width: 13px; height: 13px; border-radius: 4px; border: 1px solid $faint; background: $raised;
}
QListView::indicator:checked, QTreeView::indicator:checked, QTableView::indicator:checked {
    background: $accent; border-color: $accent; image: url(icons:check-$check.svg);
}
QListView::indicator:disabled, QTreeView::indicator:disabled, QTableView::indicator:disabled {
    border-color: $border_strong; background: $panel;
}
QListView::indicator:checked:disabled, QTreeView::indicator:checked:disabled, QTableView::indicator:checked:disabled {
    background: $border_strong;
}
QHeaderView { background: $panel; border: none; }
QHeaderView::section {
    background: $panel; color: $muted; border: none; border-bottom: 1px solid $border; padding: 4px 8px;
    font-weight: 600;
}
QFrame[variant="line"] { background: $border; max-height: 1px; border: none; }
QFrame[variant="card"] { background: $raised; border: 1px solid $border; border-radius: 6px; }

#message_bar { border-radius: 8px; }
#message_bar[kind="info"] { background: $note_ground; border: 1px solid $accent; }
#message_bar[kind="warning"] { background: $warning_ground; border: 1px solid $warning; }
#message_bar[kind="error"] { background: $error_ground; border: 1px solid $error; }
#message_bar QLabel { color: $text; }
#message_bar QLabel#message_hint { color: $muted; }
""")


def stylesheet(theme: Theme) -> str:
    """The complete style sheet in a theme's colours."""
    colours = {name: value for name, value in vars(theme).items() if isinstance(value, str)}
    return _SHEET.substitute(colours, check="dark" if theme.is_dark else "light")
