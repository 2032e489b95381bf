"""Colours of the window: two palettes, one accent, and who is told when they change.

Colour-blind-safe colours of classes and of terms live here too, so that the map, the curves and their legends agree.
GUI thread only.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QDir, QObject, Qt, Signal, Slot
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication

from vae_explorer.gui.stylesheet import stylesheet
from vae_explorer.models.catalogue import MODELS
from vae_explorer.resource_files import resource_path

ThemeChoice = Literal["light", "dark", "system"]
THEME_CHOICES: tuple[ThemeChoice, ...] = ("system", "light", "dark")

CLASS_COLOURS: tuple[str, ...] = (
    "#3154b8",
    "#c19200",
    "#d35467",
    "#18e1af",
    "#8d6be6",
    "#9e2074",
    "#09a0b1",
    "#f793ff",
    "#755a06",
    "#bcce1b",
)
"""Ten colours, found by a search for the largest smallest distance in OKLab over ordinary sight and full deuteranopia,
protanopia and tritanopia (Machado, Oliveira, Fernandes 2009), within the lightness that shows on both panels. No two
come nearer than 0.11; of the usual ten-colour palettes the best reach 0.06. More classes than colours start over."""

_TERM_COLOURS: dict[str, tuple[str, str]] = {
    # term: (on the light panel, on the dark panel)
    "elbo": ("#2f5fd0", "#6f9cff"),
    "reconstruction": ("#c2560a", "#ff9d45"),
    "kl": ("#0f8a6d", "#3fd0a8"),
    "mutual_information": ("#00768a", "#4cc5dc"),
    "total_correlation": ("#a03a86", "#ef8fd6"),
    "dimension_wise_kl": ("#5b7a00", "#a9cf4a"),
    "beta": ("#8a3fb8", "#c98bf0"),
    "learning_rate": ("#8a6d00", "#e0c04a"),
    "gradient_norm": ("#b02a4e", "#ff7f9f"),
    "images_per_second": ("#5a6270", "#a3abb8"),
}
_OTHER_TERM_COLOURS: tuple[tuple[str, str], ...] = (
    ("#6a5acd", "#a99cff"),
    ("#9a5b3c", "#d79c7c"),
    ("#b02a4e", "#ff7f9f"),
    ("#00768a", "#4cc5dc"),
    ("#a03a86", "#ef8fd6"),
    ("#5b7a00", "#a9cf4a"),
)


@dataclass(frozen=True)
class Theme:
    """The colours of one look, as #rrggbb.

    background: behind the panels; panel: a panel's own ground; raised: fields and buttons on it; hover and pressed:
    the same under the mouse; border: hairlines; text, muted, faint: three strengths of writing; accent and
    accent_text: the one colour that asks for attention and what is written on it; grid: lines of plots.
    """

    name: str
    is_dark: bool
    background: str
    panel: str
    raised: str
    hover: str
    pressed: str
    border: str
    border_strong: str
    text: str
    muted: str
    faint: str
    accent: str
    accent_hover: str
    accent_text: str
    selection: str
    grid: str
    good: str
    warning: str
    error: str
    warning_ground: str
    error_ground: str
    note_ground: str


LIGHT = Theme(
    name="light",
    is_dark=False,
    background="#eef0f3",
    panel="#ffffff",
    raised="#f6f7f9",
    hover="#eceef2",
    pressed="#e1e4ea",
    border="#e0e3e8",
    border_strong="#c9ced6",
    text="#1b1e24",
    muted="#616976",
    faint="#9aa1ad",
    accent="#3b5fdb",
    accent_hover="#3253c6",
    accent_text="#ffffff",
    selection="#d9e2ff",
    grid="#e6e8ec",
    good="#178a5b",
    warning="#9a6300",
    error="#c0322b",
    warning_ground="#fff6e0",
    error_ground="#fdecea",
    note_ground="#eaf0ff",
)

DARK = Theme(
    name="dark",
    is_dark=True,
    background="#111215",
    panel="#191b1f",
    raised="#22252a",
    hover="#2a2d34",
    pressed="#31353d",
    border="#2a2d33",
    border_strong="#3d424b",
    text="#e7e9ed",
    muted="#979daa",
    faint="#666d79",
    accent="#6c8cff",
    accent_hover="#7f9bff",
    accent_text="#0d1020",
    selection="#2b3a6b",
    grid="#2a2d33",
    good="#43c08a",
    warning="#e5b04c",
    error="#ff7a70",
    warning_ground="#2e2716",
    error_ground="#331d1c",
    note_ground="#1d2540",
)


class ThemeNotifier(QObject):
    """Tells painted things that the colours changed.

    changed(Theme): emitted by `apply`, and when the desktop changes while the choice is "system".
    """

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.choice: ThemeChoice = "system"
        self.theme: Theme = LIGHT
        self._watched = False

    @Slot()
    def follow_system(self) -> None:
        """Take the desktop's scheme if the person left the choice to it."""
        if self.choice == "system":
            self._show(system_theme())

    def choose(self, app: QApplication, choice: ThemeChoice) -> None:
        """Adopt a choice and watch the desktop from now on."""
        self.choice = choice
        if not self._watched:
            app.styleHints().colorSchemeChanged.connect(self.follow_system)
            self._watched = True
        scheme = {
            "light": Qt.ColorScheme.Light,
            "dark": Qt.ColorScheme.Dark,
            "system": Qt.ColorScheme.Unknown,
        }[choice]
        # Native title bars and file dialogs follow the hint where the platform can.
        app.styleHints().setColorScheme(scheme)
        self._show({"light": LIGHT, "dark": DARK}.get(choice) or system_theme(), force=True)

    def _show(self, theme: Theme, force: bool = False) -> None:
        if theme is self.theme and not force:
            return
        self.theme = theme
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.setPalette(palette_of(theme))
            app.setStyleSheet(stylesheet(theme))
        self.changed.emit(theme)


@functools.cache
def notifier() -> ThemeNotifier:
    """The one notifier of the program."""
    return ThemeNotifier()


def current() -> Theme:
    """The colours shown now."""
    return notifier().theme


def apply(app: QApplication, choice: ThemeChoice) -> Theme:
    """Give the whole program the chosen look; returns the colours that were taken."""
    if app.property("vae_explorer_styled") is None:
        app.setStyle("Fusion")
        app.setFont(_interface_font(app))
        QDir.setSearchPaths("icons", [str(resource_path("icons"))])
        app.setProperty("vae_explorer_styled", "yes")
    notifier().choose(app, choice)
    return current()


def system_theme() -> Theme:
    """The look the desktop asks for; light where it says nothing."""
    hints = QApplication.styleHints()
    return DARK if hints.colorScheme() == Qt.ColorScheme.Dark else LIGHT


def term_colour(term_name: str, dark: bool) -> str:
    """The colour of a curve; the same term always has the same one, also for terms not known here."""
    pair = _TERM_COLOURS.get(term_name)
    if pair is None:
        # By their place among all models' other terms: neighbours, as those of one model are, never share a colour.
        others = _other_terms()
        place = others.index(term_name) if term_name in others else zlib.crc32(term_name.encode())
        pair = _OTHER_TERM_COLOURS[place % len(_OTHER_TERM_COLOURS)]
    return pair[1] if dark else pair[0]


@functools.cache
def _other_terms() -> tuple[str, ...]:
    names = dict.fromkeys(term.name for record in MODELS for term in record.terms)
    return tuple(name for name in names if name not in _TERM_COLOURS)


def class_colour(label: int) -> str:
    """The colour of a class on the map."""
    return CLASS_COLOURS[label % len(CLASS_COLOURS)]


def palette_of(theme: Theme) -> QPalette:
    """The Qt palette of a look, for what the style sheet does not reach (item views, links, disabled text)."""
    palette = QPalette()
    role = QPalette.ColorRole
    colours = {
        role.Window: theme.panel,
        role.WindowText: theme.text,
        role.Base: theme.panel,
        role.AlternateBase: theme.raised,
        role.Text: theme.text,
        role.Button: theme.raised,
        role.ButtonText: theme.text,
        role.BrightText: theme.error,
        role.ToolTipBase: theme.raised,
        role.ToolTipText: theme.text,
        role.PlaceholderText: theme.faint,
        role.Highlight: theme.accent,
        role.HighlightedText: theme.accent_text,
        role.Link: theme.accent,
        role.LinkVisited: theme.accent,
        role.Accent: theme.accent,
        role.Light: theme.hover,
        role.Midlight: theme.raised,
        role.Mid: theme.border_strong,
        role.Dark: theme.border,
        role.Shadow: theme.border,
    }
    for name, colour in colours.items():
        palette.setColor(name, QColor(colour))
    for name in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, name, QColor(theme.faint))
    return palette


def _interface_font(app: QApplication) -> QFont:
    """The desktop's own font; on a bare X server, where that is a bitmap-like default, a well-hinted one."""
    font = QFont(app.font())
    if font.family() in {"Sans Serif", "Sans", "DejaVu Sans", "Helvetica", ""}:
        installed = set(QFontDatabase.families())
        for family in ("Inter", "Noto Sans", "Cantarell", "Ubuntu", "Open Sans", "DejaVu Sans"):
            if family in installed:
                font.setFamily(family)
                break
    font.setPointSizeF(max(font.pointSizeF(), 9.5) if font.pointSizeF() < 11 else font.pointSizeF())
    font.setHintingPreference(QFont.HintingPreference.PreferVerticalHinting)
    return font
