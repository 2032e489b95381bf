"""The contract of every model: it trains, pauses, saves, loads identically, decodes on the map and is exported.

On 8 x 8 pictures in three classes, through the command line where a person would use it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.model_data import protocol_for
from tests.tiny_runs import make_trainer, register_tiny, tiny_config
from vae_explorer.cli import main
from vae_explorer.config import settings_of
from vae_explorer.latent.explorer import Explorer
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.record import ModelRecord
from vae_explorer.models.snapshot import Snapshot
from vae_explorer.runs.checkpoint import model_from_run
from vae_explorer.runs.recorder import record as recorded
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.control import Control
from vae_explorer.training.events import Finished, MetricsChunk, Paused, Resumed, SnapshotTaken
from vae_explorer.training.run_config import RunConfig, with_value

SMALL = {
    "model.hidden_widths": (16,), "model.channels": (4, 8), "model.num_codes": 8, "model.code_dimensions": 4,
    "model.num_components": 3, "model.codebook_epochs": 2, "model.importance_samples": 3, "model.baseline_epochs": 1,
}  # fmt: skip


def config_for(record: ModelRecord) -> RunConfig:
    if "points" in record.data_needs:
        pytest.skip(f"{record.name} is for points of the plane, which tests/gui/test_fitted_models.py trains")
    config = with_value(tiny_config(protocol_for(record), epochs=4), "model.name", record.name)
    known = {f"model.{item.name}" for item in settings_of(record.config_type)}
    for path, value in SMALL.items():
        if path in known:
            config = with_value(config, path, value)
    return config


@pytest.fixture(params=list(MODELS), ids=lambda record: record.name)
def record(request: pytest.FixtureRequest) -> ModelRecord:
    return request.param


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tiny_images: tuple[np.ndarray, np.ndarray]) -> None:
    register_tiny(monkeypatch, tiny_images)


def test_it_trains_pauses_saves_loads_identically_decodes_on_the_map_and_is_exported(
    record: ModelRecord, tiny: None, tmp_path: Path
) -> None:
    config = config_for(record)
    run = RunDirectory.create(config, tmp_path / "run")
    trainer, control = make_trainer(config), Control()
    kinds: list[type] = []
    snapshot: Snapshot | None = None
    with contextlib.closing(recorded(trainer.run(control), run)) as stream:
        for event in stream:
            kinds.append(type(event))
            match event:
                case MetricsChunk() if Paused not in kinds and not control.paused:
                    control.pause()
                case Paused():
                    control.want_snapshot()
                    control.resume()
                case SnapshotTaken():
                    snapshot = event.snapshot
                case Finished():
                    assert event.reason == "completed"
                    assert set(event.validation) >= {term.name for term in record.terms}
                    assert all(np.isfinite(value) for value in event.validation.values())
    assert kinds.index(Paused) < kinds.index(Resumed) < kinds.index(Finished)
    assert snapshot is not None

    loaded = model_from_run(tmp_path / "run").model
    model = trainer.model.eval()
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    batch = trainer.step.batch_of(trainer.dataset.heldout_index_N[:6], trainer.step.data_noise)
    with torch.no_grad():
        condition = model.condition_of(batch.x_BCHW, batch.label_B)
        z = model.encode(batch.x_BCHW, condition).mean
        pictures = [one.decode(z, condition).mean_BCHW for one in (model, loaded)]
        assert torch.equal(*pictures)
        assert pictures[0].shape == batch.x_BCHW.shape

    explorer = Explorer()
    explorer.adopt(snapshot)
    explorer.show_images(trainer.dataset)
    assert bool(record.map_note)
    if record.has_codes:
        z_ND = np.random.default_rng(0).normal(size=(5, model.latent_space.dimensions))
        with torch.no_grad():
            direct = explorer.network.decode(torch.from_numpy(z_ND).float()).mean_BCHW.numpy()
        assert np.abs(explorer.decode_mean(z_ND) - direct).max() < 1e-6
    assert explorer.sample(4, 0)[0].shape == (4, 8, 8)

    out = tmp_path / "samples.png"
    assert main(["sample", str(tmp_path / "run"), "--out", str(out), "--rows", "2", "--columns", "3"]) == 0
    with Image.open(out) as picture:
        assert picture.info["model"] == record.name
        assert picture.size == (3 * 16 + 4 * 2, 2 * 16 + 3 * 2)
