"""What a person arranges and can take back: settings, presets and the map. Training steps are not undone.

A command changes the session's data; the widgets follow the session's signals. Nothing is asked inside a command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QUndoCommand

from vae_explorer.training.run_config import setting_at, value_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from vae_explorer.config import Value
    from vae_explorer.gui.map_session import MapSession
    from vae_explorer.gui.session import Session
    from vae_explorer.latent.arrangement import Arrangement
    from vae_explorer.latent.codebook_view import GridChoice
    from vae_explorer.training.run_config import RunConfig

_WITH_OTHERS = frozenset({"model.name", "data.dataset"})
"""Settings that change others with them: what is taken back is the whole configuration."""

_EDIT_ID = 1
_ARRANGE_ID = 2
_GRID_ID = 3


class EditSetting(QUndoCommand):
    """One setting; typing on in the same field makes one step."""

    def __init__(self, session: Session, path: str, value: Value) -> None:
        super().__init__(f"change {setting_at(session.config, path).label.lower()}")
        self._session = session
        self.path = path
        self._before = session.config
        self._value = value

    def redo(self) -> None:
        """Set the value; SettingError was raised before the command was made."""
        self._session.place_value(self.path, self._value)

    def undo(self) -> None:
        """Set the earlier value. A model's own settings and a data set's protocol come back with it."""
        if self.path in _WITH_OTHERS:
            self._session.place_config(self._before)
        else:
            self._session.place_value(self.path, value_of(self._before, self.path))

    def id(self) -> int:
        """Tells Qt which commands may be merged."""
        return _EDIT_ID

    def mergeWith(self, other: QUndoCommand) -> bool:
        """Take over the value of the next command if it is about the same setting."""
        if not isinstance(other, EditSetting) or other.path != self.path or self.path in _WITH_OTHERS:
            return False
        self._value = other._value
        return True


class ReplaceConfig(QUndoCommand):
    """The whole configuration, as by a preset."""

    def __init__(self, session: Session, config: RunConfig, label: str) -> None:
        super().__init__(label)
        self._session = session
        self._before = session.config
        self._after = config

    def redo(self) -> None:
        """Show the new configuration."""
        self._session.place_config(self._after)

    def undo(self) -> None:
        """Show the earlier one."""
        self._session.place_config(self._before)


class Arrange(QUndoCommand):
    """One change of the map's arrangement; a whole drag is one step."""

    def __init__(self, map_session: MapSession, after: Arrangement, text: str, merge: str) -> None:
        super().__init__(text)
        self._map = map_session
        self._before = map_session.arrangement
        self._after = after
        self._images_number = map_session.images_number
        self._merge_key = merge

    def redo(self) -> None:
        """Show the new arrangement."""
        self._map.place(self._after, self._images_number)

    def undo(self) -> None:
        """Show the earlier one."""
        self._map.place(self._before, self._images_number)

    def id(self) -> int:
        """Tells Qt which commands may be merged."""
        return _ARRANGE_ID

    def mergeWith(self, other: QUndoCommand) -> bool:
        """Take over the arrangement of the next command if it belongs to the same gesture."""
        if not isinstance(other, Arrange) or not self._merge_key or other._merge_key != self._merge_key:
            return False
        self._after = other._after
        self.setText(other.text())
        return True


class ChangeGrid(QUndoCommand):
    """One change of the code grid that is looked at; a whole drag of the temperature is one step."""

    def __init__(self, place: Callable[[GridChoice], None], before: GridChoice, after: GridChoice, text: str,
                 merge: str) -> None:  # fmt: skip
        super().__init__(text)
        self._place = place
        self._before = before
        self._after = after
        self._merge_key = merge

    def redo(self) -> None:
        """Show the new grid."""
        self._place(self._after)

    def undo(self) -> None:
        """Show the earlier one."""
        self._place(self._before)

    def id(self) -> int:
        """Tells Qt which commands may be merged."""
        return _GRID_ID

    def mergeWith(self, other: QUndoCommand) -> bool:
        """Take over the grid of the next command if it belongs to the same gesture."""
        if not isinstance(other, ChangeGrid) or not self._merge_key or other._merge_key != self._merge_key:
            return False
        self._after = other._after
        return True
