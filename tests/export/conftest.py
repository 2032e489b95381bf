from __future__ import annotations

import numpy as np
import pytest

from tests.tiny_runs import register_tiny


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tiny_images: tuple[np.ndarray, np.ndarray]) -> None:
    register_tiny(monkeypatch, tiny_images)
