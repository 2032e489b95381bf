"""What the window remembers from one time to the next: layout, size and recent choices, in an ini file of its own.

QSettings writes the file atomically. A file that cannot be read or written costs the memory, never the window.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import tomli_w
from PySide6.QtCore import QByteArray, QSettings

from vae_explorer.errors import UserError
from vae_explorer.training.run_config import run_config_from_table, run_config_to_table

if TYPE_CHECKING:
    from vae_explorer.training.run_config import RunConfig

LAYOUT_VERSION = 5
"""Counts up when docks are added or renamed; a layout of another version is not restored."""

CONFIG_VARIABLE = "VAE_EXPLORER_CONFIG"
STATE_VARIABLE = "VAE_EXPLORER_STATE"


def config_folder() -> Path:
    """Where the ini file is: the folder named by VAE_EXPLORER_CONFIG, else the user's configuration folder."""
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_config_dir("vae-explorer", appauthor=False))


def state_folder() -> Path:
    """Where crash files are: the folder named by VAE_EXPLORER_STATE, else the user's state folder."""
    named = os.environ.get(STATE_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_state_dir("vae-explorer", appauthor=False))


class Settings:
    """Typed reading and writing of remembered choices; whatever cannot be understood counts as never chosen."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path if path is not None else config_folder() / "window.ini"
        self._store = QSettings(str(self.path), QSettings.Format.IniFormat)

    def text(self, key: str, default: str, allowed: tuple[str, ...] | None = None) -> str:
        """A remembered word; the default if it is none of those allowed."""
        value = self._store.value(key)
        if not isinstance(value, str) or (allowed is not None and value not in allowed):
            return default
        return value

    def number(self, key: str, default: float, minimum: float, maximum: float) -> float:
        """A remembered number within a range."""
        try:
            value = float(str(self._store.value(key)))
        except ValueError:
            return default
        return value if minimum <= value <= maximum else default

    def data(self, key: str) -> QByteArray | None:
        """Remembered bytes, such as a layout."""
        value = self._store.value(key)
        return value if isinstance(value, QByteArray) and not value.isEmpty() else None

    def config(self) -> RunConfig | None:
        """The remembered configuration of the form; None if there is none or it does not fit this version."""
        text = self.text("form/config", "")
        if not text:
            return None
        try:
            return run_config_from_table(tomllib.loads(text), str(self.path))
        except (tomllib.TOMLDecodeError, UserError):
            return None

    def remember_config(self, config: RunConfig) -> None:
        """Keep the configuration of the form."""
        self.remember("form/config", tomli_w.dumps(run_config_to_table(config)))

    def table(self, key: str) -> dict[str, Any]:
        """A remembered table; empty if there is none or it cannot be read."""
        try:
            return tomllib.loads(self.text(key, ""))
        except tomllib.TOMLDecodeError:
            return {}

    def remember_table(self, key: str, table: Mapping[str, Any]) -> None:
        """Keep a table of plain values."""
        self.remember(key, tomli_w.dumps(table))

    def remember(self, key: str, value: str | float | QByteArray) -> None:
        """Keep a choice; written to disk by `save`."""
        self._store.setValue(key, value)

    def forget(self, key: str) -> None:
        """Drop a choice."""
        self._store.remove(key)

    def save(self) -> bool:
        """Write the file; False if that failed."""
        self._store.sync()
        return self._store.status() is QSettings.Status.NoError
