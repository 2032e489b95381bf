"""Two processes train what one would: the same curves, codes and weights, but for the rounding of sums."""

from __future__ import annotations

import dataclasses
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.model_data import protocol_for
from tests.training.process_cases import Case, dataset_of, play, play_in_processes
from vae_explorer.draws import Part, PartGenerator, draw
from vae_explorer.errors import MachineError, SettingError, UserError
from vae_explorer.models.catalogue import MODELS
from vae_explorer.models.vae_config import VAEConfig
from vae_explorer.models.vqvae_config import VQVAEConfig
from vae_explorer.training.processes import ONLY, Processes, joined
from vae_explorer.training.run_config import RunConfig, load_preset, preset_names, with_value
from vae_explorer.training.shared_step import require_shareable

RELATIVE = 1e-4
ALMOST_ZERO = 1e-5
"""Nats, of terms such as a total correlation of some thousandths, which is a difference of large sums."""
SMALL_VQVAE = VQVAEConfig(
    num_codes=7, code_dimensions=3, body_channels=6, residual_blocks=1, prior_channels=5, prior_layers=2,
    codebook_epochs=2,
)  # fmt: skip


def is_shareable(config: RunConfig) -> bool:
    try:
        require_shareable(config)
    except SettingError:
        return False
    return True


def config_for(name: str, config: RunConfig) -> RunConfig:
    """A few seconds' worth of the model, through all its stages."""
    config = with_value(config, "data.protocol", protocol_for(MODELS[name]))
    config = with_value(config, "model.name", name)
    if name == "vqvae":
        config = dataclasses.replace(config, model=SMALL_VQVAE)
    for key, value in (("hidden_widths", (16,)), ("baseline_epochs", 1), ("importance_samples", 3)):
        if hasattr(config.model, key):
            config = with_value(config, f"model.{key}", value)
    return config


def cases(config: RunConfig) -> dict[str, Case]:
    # 240 images in batches of 25: parts of 12 and 13, at the end of 7 and 8.
    config = with_value(with_value(config, "training.batch_size", 25), "data.dataset", "mnist")
    config = with_value(config, "recording.report_interval_seconds", 0.01)
    found = {name: Case(config_for(name, config)) for name in MODELS.names()}
    found = {name: case for name, case in found.items() if is_shareable(case.config)}

    def vae(*changes: tuple[str, object], play: str = "whole") -> Case:
        changed = config
        for path, value in changes:
            changed = with_value(changed, path, value)
        return Case(changed, play)

    codes_by_loss = dataclasses.replace(found["vqvae"].config, model=dataclasses.replace(SMALL_VQVAE, codebook="loss"))
    return found | {
        "binarised": vae(("data.protocol", "dynamic")),
        "a last batch of one image": vae(("training.batch_size", 239)),
        "batches of one image": vae(("training.batch_size", 1), ("training.epochs", 1)),
        "averaged weights, clipped": vae(("training.ema_decay", 0.9), ("training.gradient_clip_norm", 1.0)),
        "convolutional": vae(
            ("model.body", "convolutional"), ("model.channels", (4, 8)), ("model.normalisation", "layer")
        ),
        "learned sigma": vae(("data.protocol", "gaussian")),
        "corrupted by noise": Case(with_value(found["denoising-autoencoder"].config, "model.corruption", "gaussian")),
        "codes by loss": Case(codes_by_loss),
        "steered": vae(("data.protocol", "dynamic"), play="steered"),
        "continued": vae(("data.protocol", "dynamic"), play="continued"),
        "lost": dataclasses.replace(found["vqvae"], play="lost"),
    }  # fmt: skip


@pytest.mark.slow
def test_two_processes_train_what_one_would(
    tmp_path: Path, tiny_config: RunConfig, tiny_images: tuple[np.ndarray, np.ndarray]
) -> None:
    played = cases(tiny_config)
    assert {"vae", "beta-vae", "iwae", "cvae", "cvae-quadrants", "denoising-autoencoder", "vqvae"} <= played.keys()
    found, statuses = play_in_processes(tmp_path, list(played.values()), tiny_images)
    assert statuses == [0, -signal.SIGKILL], "the second hung in the last case"
    dataset = dataset_of(tmp_path)
    for (name, case), (first, *others) in zip(played.items(), found, strict=True):
        expected = play(case, dataset, ONLY)
        assert set(first) == set(expected), name
        assert int(first["num_processes"]) == (1 if name == "lost" else 2)
        assert str(first["end"]) == ("stopped" if name == "steered" else "completed")
        np.testing.assert_array_equal(first["steps"], expected["steps"], name)
        for key in ("rows", "heldout", "kl_D"):
            if key in expected:
                np.testing.assert_allclose(first[key], expected[key], RELATIVE, ALMOST_ZERO, err_msg=f"{name}: {key}")
        for key in expected:
            if key.startswith("weight") or key == "codes":
                np.testing.assert_allclose(first[key], expected[key], rtol=1e-4, atol=1e-4, err_msg=f"{name}: {key}")
        assert len(others) == (name != "lost")
        for key, value in (others[0] if others else {}).items():
            np.testing.assert_array_equal(value, first[key], f"{name}: {key} is not the same in both processes")


@pytest.mark.parametrize("num_rows", [1, 2, 3, 7, 128])
@pytest.mark.parametrize("num", [1, 2, 3, 8])
def test_parts_are_the_batch_in_order_and_even(num: int, num_rows: int) -> None:
    parts = [Processes(rank=rank, num=num).part_of(num_rows) for rank in range(num)]
    rows = [list(range(part.start, part.stop)) for part in parts]
    in_order = [row for of, part in zip(rows, parts, strict=True) if part.counts for row in of]
    assert in_order == list(range(num_rows))
    assert all(rows), "each has something to work on"
    counted = [len(of) if part.counts else 0 for of, part in zip(rows, parts, strict=True)]
    assert max(counted) - min(counted) <= 1
    assert sum(part.share for part in parts) == pytest.approx(1)


@pytest.mark.parametrize("axis", [0, -2])
def test_what_is_drawn_for_parts_is_what_is_drawn_for_the_whole(axis: int) -> None:
    whole = torch.Generator().manual_seed(5)
    parts = [PartGenerator.in_state_of(whole), PartGenerator.in_state_of(whole)]
    parts[0].part, parts[1].part = Part(0, 3, 7), Part(3, 7, 7)
    lead = () if axis == 0 else (4,)
    for _ in range(2):  # and the next draw goes on alike
        expected = draw(torch.randn, (*lead, 7, 5), whole, batch_axis=axis)
        drawn = [
            draw(torch.randn, (*lead, num, 5), generator, batch_axis=axis)
            for num, generator in zip((3, 4), parts, strict=True)
        ]
        assert torch.equal(torch.cat(drawn, axis), expected)


@pytest.mark.parametrize(
    ("changes", "key", "hint"),
    [
        ([("model.name", "pca")], "model.name", "without torchrun"),
        ([("model.name", "gaussian-mixture")], "model.name", "without torchrun"),
        ([("model.name", "beta-tcvae")], "model.name", "beta-vae"),
        ([("model.normalisation", "batch")], "model.normalisation", "layer"),
        ([("model.free_bits", 0.1)], "model.free_bits", "0"),
        ([("data.protocol", "gaussian"), ("model.gaussian_variance", "optimal")], "model.gaussian_variance", "learned"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_a_sentence(
    changes: list[tuple[str, object]], key: str, hint: str, tiny_config: RunConfig
) -> None:
    config = dataclasses.replace(tiny_config, model=VAEConfig())
    for path, value in changes:
        config = with_value(config, path, value)
    with pytest.raises(SettingError) as refused:
        require_shareable(config)
    assert refused.value.key == key
    assert "several processes cannot share" in refused.value.message
    assert hint in refused.value.hint


def test_presets_of_models_that_learn_by_gradients_can_be_shared() -> None:
    refused = {name for name in preset_names() if not is_shareable(load_preset(name).config)}
    fitted = {name for name in preset_names() if MODELS[load_preset(name).config.model_name].is_fitted}
    assert refused == fitted


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for alone in ("", "1"):
        monkeypatch.setenv("WORLD_SIZE", alone)
        with joined() as processes:
            assert processes is ONLY
            assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two'"),
        ({"WORLD_SIZE": "2"}, "RANK is ''"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK is '2'"),
        ({"WORLD_SIZE": "2", "RANK": "0", "VAE_EXPLORER_PATIENCE": "long"}, "VAE_EXPLORER_PATIENCE is 'long'"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "did not find one another"),
    ],
)
def test_an_environment_that_makes_no_sense_is_told(
    environment: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=words), joined():
        pass


def test_each_process_of_a_machine_needs_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    cuda = torch.device("cuda")
    for rank in (0, 1):
        assert Processes(rank=rank, num=3, local_rank=rank, num_local=3).settle_on(cuda) == cuda
    assert taken == [0, 1]
    with pytest.raises(MachineError, match="3 processes were started here, and there are 2 CUDA devices") as error:
        Processes(rank=2, num=3, local_rank=2, num_local=3).settle_on(cuda)
    assert "--nproc-per-node 2" in error.value.hint
    with pytest.raises(MachineError, match="cannot share the device 'mps'"):
        Processes(num=2).settle_on(torch.device("mps"))
