"""Autoencoders in the window: the three pictures of a denoising one, and samples that say where they come from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from tests.gui.conftest import WAIT_MS
from tests.tiny_runs import tiny_config
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.training.run_config import with_value


@pytest.fixture
def denoising(open_window: Callable[..., MainWindow], qtbot: QtBot) -> MainWindow:
    config = with_value(tiny_config(protocol="grey"), "model.name", "denoising-autoencoder")
    window = open_window(with_value(config, "model.corrupted_share", 0.5))
    for name in ("reconstructions", "samples"):
        window.docks[name].show()
        window.docks[name].raise_()
        panel = window.panel(name)
        qtbot.waitUntil(lambda panel=panel: panel.grid.num_pictures > 0, timeout=WAIT_MS)
    return window


def test_a_denoising_model_shows_what_it_is_shown_between_picture_and_reconstruction(denoising: MainWindow) -> None:
    panel = denoising.panel("reconstructions")
    assert panel._pairs is not None
    original, corrupted, reconstruction = panel._pairs.pictures
    touched = corrupted != original
    assert (corrupted[touched] == 0).all()  # masking
    assert 0.3 < touched.mean() < 0.7
    assert reconstruction.shape == original.shape
    assert panel._caption.whole.endswith("held-out images, what the network is shown and what it makes of it")
    kinds = [panel.grid._describe(0, part)["kind"] for part in range(3)]
    assert kinds == ["original as the network sees it", "corrupted", "reconstruction"]


def test_samples_without_a_prior_say_that_they_are_ex_post(denoising: MainWindow, qtbot: QtBot) -> None:
    panel = denoising.panel("samples")
    assert "ex-post: z ~ Gaussian mixture fitted to the codes" in panel._caption.whole
    snapshot = denoising.session.snapshot
    assert snapshot is not None
    assert panel._samples is not None
    codes_ND = snapshot.codes_ND.numpy()
    distance_NS = np.linalg.norm(codes_ND[:, None] - panel._samples.z_ND, axis=-1)
    spread = codes_ND.std(0).max()
    assert np.quantile(distance_NS.min(0), 0.9) < spread
