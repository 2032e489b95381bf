"""Which models can be trained on which data, and what a person is told where one cannot."""

from __future__ import annotations

import pytest

from vae_explorer.errors import SettingError
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.fit import require_fit

POINTS = DataSpace((2, 1, 1), 0, "gaussian")


@pytest.mark.parametrize("record", list(MODELS), ids=lambda record: record.name)
def test_a_model_that_does_not_suit_points_never_sends_a_person_to_another_protocol(record) -> None:
    """Points can be seen under one protocol alone."""
    try:
        require_fit(record, POINTS)
    except SettingError as error:
        assert error.key == "model.name"
        assert "protocol" not in error.hint
        assert error.hint


def test_the_data_decide() -> None:
    with pytest.raises(SettingError, match="is for pictures"):
        require_fit(MODELS["bernoulli-mixture"], POINTS)
    with pytest.raises(SettingError, match="needs labels"):
        require_fit(MODELS["cvae"], POINTS)
    require_fit(MODELS["gaussian-mixture"], POINTS)
    require_fit(MODELS["vae"], POINTS)
