from __future__ import annotations

import tomllib

import pytest
import tomli_w

from vae_explorer.config import check
from vae_explorer.errors import SettingError, UserError
from vae_explorer.models.vae_config import VAEConfig
from vae_explorer.training.run_config import (
    apply_assignment,
    default_config,
    load_preset,
    preset_names,
    read_run_config,
    run_config_from_table,
    run_config_to_table,
    sections,
    value_of,
    with_value,
)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_titled_and_survives_toml(name: str) -> None:
    preset = load_preset(name)
    assert preset.title
    assert preset.summary.endswith(".")
    for part, section in (
        (preset.config.data, "data"),
        (preset.config.model, "model"),
        (preset.config.training, "training"),
    ):
        check(part, section)
    text = tomli_w.dumps(run_config_to_table(preset.config))
    assert run_config_from_table(tomllib.loads(text), "run.toml") == preset.config


def test_the_tutorial_is_the_published_program() -> None:
    config = load_preset("tutorial").config
    assert config.model == VAEConfig(latent_dimensions=20, hidden_widths=(400,), activation="relu")
    assert (config.training.batch_size, config.training.learning_rate) == (128, 1e-3)
    assert config.training.learning_rate_schedule == "constant"
    assert config.data.heldout_images == 0


def test_the_default_preset_comes_first_and_is_two_dimensional() -> None:
    assert preset_names()[0] == "first-map"
    assert default_config().model.latent_dimensions == 2


def test_every_setting_is_reached_by_its_path() -> None:
    config = default_config()
    paths = [f"{section.name}.{item.name}" for section in sections(config) for item in section.settings]
    assert len(paths) == len(set(paths))
    for path in paths:
        assert with_value(config, path, value_of(config, path)) == config


def test_an_assignment_is_checked() -> None:
    config = apply_assignment(default_config(), "model.hidden_widths=64, 32")
    assert config.model.hidden_widths == (64, 32)
    with pytest.raises(SettingError) as caught:
        apply_assignment(config, "training.epoch=3")
    assert "training.epochs" in caught.value.hint
    with pytest.raises(SettingError, match="sets nothing"):
        apply_assignment(config, "training.epochs")
    with pytest.raises(SettingError, match=r"training\.epochs cannot be 0"):
        apply_assignment(config, "training.epochs=0")


def test_a_files_mistakes_are_named(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    for text, word in (
        ("[trainin]\nepochs = 3", "trainin"),
        ("[training]\nepoch = 3", "training.epoch"),
        ('[model]\nname = "vaee"', "model.name"),
        ('data = "mnist"', "data"),
        ('[data]\ndataset = "minst"', "data.dataset"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SettingError) as caught:
            read_run_config(path)
        assert word in caught.value.message
        assert caught.value.hint


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UserError, match="There is no preset named 'tutoral'") as caught:
        load_preset("tutoral")
    assert "tutorial" in caught.value.hint
