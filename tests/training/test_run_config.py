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


def test_another_data_set_goes_to_a_protocol_under_which_it_can_be_seen() -> None:
    points = apply_assignment(default_config(), "data.dataset=two-moons")
    assert points.data.protocol == "gaussian"
    # What suits both is kept: going back does not change it again.
    assert apply_assignment(points, "data.dataset=mnist").data.protocol == "gaussian"


def test_a_protocol_under_which_the_data_set_cannot_be_seen_is_refused(tmp_path) -> None:
    points = with_value(default_config(), "data.dataset", "ring")
    for change in (
        lambda: apply_assignment(points, "data.protocol=threshold"),
        lambda: run_config_from_table({"data": {"dataset": "ring", "protocol": "threshold"}}, "mine.toml"),
    ):
        with pytest.raises(SettingError, match=r"Ring.*cannot be seen under the protocol 'threshold'") as caught:
            change()
        assert caught.value.key == "data.protocol"
        assert "Choose gaussian" in caught.value.hint


def test_a_file_that_leaves_the_protocol_out_means_the_data_sets_first() -> None:
    assert run_config_from_table({"data": {"dataset": "ring"}}, "mine.toml").data.protocol == "gaussian"
    assert run_config_from_table({}, "mine.toml").data.protocol == "grey"


def test_the_form_offers_only_protocols_that_suit_the_data_set() -> None:
    def choices(dataset: str) -> tuple[str, ...]:
        config = with_value(default_config(), "data.dataset", dataset)
        return next(item.choices for item in sections(config)[0].settings if item.name == "protocol")

    assert choices("ring") == ("gaussian",)
    assert choices("mnist")[0] == "grey"
