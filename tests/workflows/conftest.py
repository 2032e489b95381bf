"""Stories are told with the fixtures of the window's own tests."""

from __future__ import annotations

from tests.gui.conftest import (
    _frozen,
    _tiny,
    long_config,
    nothing_left,
    open_window,
    pytest_collection_modifyitems,
    training_window,
    window,
)

__all__ = [
    "_frozen",
    "_tiny",
    "long_config",
    "nothing_left",
    "open_window",
    "pytest_collection_modifyitems",
    "training_window",
    "window",
]
