"""The complete configuration of a run, its presets, and the paths (`training.epochs`) by which one setting is meant.

Free of torch, so that the form, `--help` and the preset list are there before torch is imported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_explorer.config import (
    Setting,
    Value,
    checked_value,
    from_table,
    parse_text,
    read_toml,
    setting,
    settings_of,
    to_table,
)
from vae_explorer.datasets.catalogue import DATASETS
from vae_explorer.datasets.protocols import PROTOCOLS
from vae_explorer.errors import SettingError, UserError, nearest_hint, quoted
from vae_explorer.models.catalogue import MODELS
from vae_explorer.resource_files import resource_path

DEFAULT_PRESET = "first-map"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which pictures or points, and how they are scored."""

    dataset: str = setting("mnist", label="Data set", choices=DATASETS.names, help="The pictures or points to learn.")
    protocol: str = setting(
        "grey", label="Protocol", choices=PROTOCOLS.names,
        help="What a pixel is and how it is scored. Bounds under different protocols cannot be compared.",
    )  # fmt: skip
    heldout_images: int = setting(
        5000, label="Held-out images", unit="images", minimum=0, maximum=1_000_000,
        help="Training images kept aside for the held-out curve. The test split is touched only by an evaluation.",
    )  # fmt: skip
    heldout_part: int = setting(
        0, label="Held-out part", minimum=0, maximum=1_000_000, advanced=True,
        help="Which part of that size is kept aside, counted from 0. Runs that keep different parts aside show what a "
        "model owes to single images.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How the bound is climbed."""

    epochs: int = setting(
        20, label="Epochs", minimum=1, maximum=100_000, logarithmic=True, help="Passes over the training images."
    )
    batch_size: int = setting(
        128, label="Batch size", unit="images", minimum=1, maximum=65_536, logarithmic=True,
        help="Images in one step. Larger batches run faster and step less often.",
    )  # fmt: skip
    learning_rate: float = setting(
        1e-3, label="Learning rate", minimum=1e-8, maximum=1.0, live=True, logarithmic=True,
        help="Step size of Adam; with a schedule, its highest value.",
    )  # fmt: skip
    learning_rate_schedule: str = setting(
        "constant", label="Schedule", choices=("constant", "cosine"), formula="η(t) = η · (1 + cos(π t / T)) / 2",
        help="Constant, or a half cosine down to zero at the last step.",
    )  # fmt: skip
    adam_beta2: float = setting(
        0.999, label="Adam β₂", minimum=0.0, maximum=0.9999, advanced=True, formula="v ← β₂ v + (1 − β₂) g²",
        help="Memory of Adam's second moment. Smaller values follow a changing gradient faster.",
    )  # fmt: skip
    gradient_clip_norm: float = setting(
        0.0, label="Gradient clipping", minimum=0.0, maximum=1e6, advanced=True,
        help="Largest norm of the whole gradient; longer ones are shortened to it. 0 switches it off.",
    )  # fmt: skip
    ema_decay: float = setting(
        0.0, label="Weight average", minimum=0.0, maximum=0.99999, advanced=True, formula="w̄ ← d w̄ + (1 − d) w",
        help="Decay d of a moving average of the weights, such as 0.999; 0 switches it off. The map, the held-out "
             "checks, checkpoints and evaluations then use the averaged weights, and training goes on with its own.",
    )  # fmt: skip
    seed: int = setting(
        0, label="Seed", minimum=0, maximum=2**31 - 1,
        help="Decides the first weights, the order of the images and all noise of training.",
    )  # fmt: skip
    device: str = setting(
        "auto", label="Device", choices=("auto", "cpu", "cuda", "mps"), advanced=True,
        help="Auto takes CUDA, then MPS, then the CPU, whichever is there first.",
    )  # fmt: skip
    precision: str = setting(
        "auto", label="Precision", choices=("auto", "float32", "bfloat16"), advanced=True,
        help="Auto takes bfloat16 for matrix products where this machine runs them faster; sums stay in float32.",
    )  # fmt: skip
    num_threads: int = setting(
        0, label="CPU threads", minimum=0, maximum=256, advanced=True,
        help="Threads of one training step on the CPU; 0 takes the fastest number after a short trial.",
    )  # fmt: skip
    validation_interval_images: int = setting(
        50_000, label="Held-out check every", unit="images", minimum=100, maximum=1_000_000_000, advanced=True,
        help="Images seen between two measurements on the held-out images.",
    )  # fmt: skip


_OF_GRADIENTS = frozenset(
    {"learning_rate", "learning_rate_schedule", "adam_beta2", "gradient_clip_norm", "ema_decay", "precision"}
)
"""What of `TrainingConfig` a model that is fitted in closed form or by EM, in float32, has no use for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingConfig:
    """What a run leaves on disk, and how often."""

    checkpoint_interval_seconds: float = setting(
        30.0, label="Checkpoint every", unit="seconds", minimum=0.1, maximum=86_400.0, advanced=True,
        help="Longest time between two checkpoints; one is also written at the end of a run.",
    )  # fmt: skip
    report_interval_seconds: float = setting(
        0.1, label="Report every", unit="seconds", minimum=0.01, maximum=60.0, advanced=True,
        help="Time between two rows of the metrics file and two updates of the curves.",
    )  # fmt: skip
    lookback_images: int = setting(
        5000, label="Looking back", unit="images", minimum=0, maximum=100_000, advanced=True,
        help="How many images the run keeps the codes of at log-spaced steps, so that one can look back in time; "
             "0 keeps none.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that decides a run."""

    data: DataConfig
    model_name: str
    model: Any  # an instance of the model record's config_type
    training: TrainingConfig
    recording: RecordingConfig


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the file and one group of the form."""

    name: str
    title: str
    settings: tuple[Setting, ...]


_MODEL_NAME = "name"


def _model_setting() -> Setting:
    return Setting(
        name=_MODEL_NAME, label="Model", kind="choice", default="vae", choices=MODELS.names(),
        help="Which model of the literature is trained.",
    )  # fmt: skip


def live_values(config: RunConfig) -> dict[str, float]:
    """The settings that a running training follows, by their path."""
    return {
        f"{section.name}.{item.name}": float(value_of(config, f"{section.name}.{item.name}"))  # type: ignore[arg-type]
        for section in sections(config)
        for item in section.settings
        if item.live
    }


def changes_that_need_another_run(trained: RunConfig, asked: RunConfig) -> str:
    """The label of the first setting that cannot change in a run that goes on; empty where there is none.

    The number of epochs can, and so can what is live.
    """
    for section in sections(asked):
        for item in section.settings:
            path = f"{section.name}.{item.name}"
            if item.live or path == "training.epochs":
                continue
            try:
                same = value_of(trained, path) == value_of(asked, path)
            except UserError:
                same = False  # another model has other settings
            if not same:
                return item.label
    return ""


def sections(config: RunConfig) -> tuple[Section, ...]:
    """The sections of a configuration in the order of the form; those of `model` depend on the model chosen, and the
    choice of protocols on the data set. What steers a descent by gradients is left out where the model knows none.
    """
    data, model, training, recording = _sections(config)
    protocols = DATASETS[config.data.dataset].protocols
    fitting = tuple(
        dataclasses.replace(item, choices=protocols) if item.name == "protocol" else item for item in data.settings
    )
    if MODELS[config.model_name].is_fitted:
        useful = tuple(item for item in training.settings if item.name not in _OF_GRADIENTS)
        training = dataclasses.replace(training, settings=useful)
    return dataclasses.replace(data, settings=fitting), model, training, recording


def _sections(config: RunConfig) -> tuple[Section, ...]:
    return (
        Section("data", "Data", settings_of(DataConfig)),
        Section("model", "Model", (_model_setting(), *settings_of(type(config.model)))),
        Section("training", "Training", settings_of(TrainingConfig)),
        Section("recording", "Recording", settings_of(RecordingConfig)),
    )


def setting_at(config: RunConfig, path: str) -> Setting:
    """The setting at a path such as `training.epochs`; raises SettingError that names the nearest one."""
    found = {f"{section.name}.{item.name}": item for section in _sections(config) for item in section.settings}
    if path not in found:
        raise SettingError(path, f"There is no setting {quoted(path)}.", nearest_hint(path, found))
    return found[path]


def value_of(config: RunConfig, path: str) -> Value:
    """The value at a path."""
    setting_at(config, path)
    section, name = path.split(".")
    if path == f"model.{_MODEL_NAME}":
        return config.model_name
    value: Value = getattr(getattr(config, section), name)
    return value


def with_value(config: RunConfig, path: str, value: object) -> RunConfig:
    """The configuration with one value changed; raises SettingError. Another model keeps the settings that it shares
    and that a person chose; another data set keeps the protocol where it can be seen under it, and else goes to its
    own first.
    """
    checked = checked_value(setting_at(config, path), value, path)
    section, name = path.split(".")
    if path == "data.dataset":
        protocols = DATASETS[str(checked)].protocols
        protocol = config.data.protocol if config.data.protocol in protocols else protocols[0]
        data = dataclasses.replace(config.data, dataset=str(checked), protocol=protocol)
        return dataclasses.replace(config, data=data)
    if path == "data.protocol":
        _require_protocol(config.data.dataset, str(checked))
    if path == f"model.{_MODEL_NAME}":
        config_type = MODELS[str(checked)].config_type
        shared = {item.name for item in settings_of(config_type)}
        # What was left at its default takes the new model's default: beta is 1 for one and 4 for another.
        kept = {
            item.name: value
            for item in settings_of(type(config.model))
            if item.name in shared and (value := getattr(config.model, item.name)) != item.default
        }
        return dataclasses.replace(config, model_name=str(checked), model=config_type(**kept))
    part = dataclasses.replace(getattr(config, section), **{name: checked})
    return dataclasses.replace(config, **{section: part})


def _require_protocol(dataset: str, protocol: str) -> None:
    record = DATASETS[dataset]
    if protocol not in record.protocols:
        message = f"The data set “{record.title}” cannot be seen under the protocol {quoted(protocol)}."
        known = ", ".join(record.protocols)
        hint = f"Choose {known}." if len(record.protocols) == 1 else f"Choose one of: {known}."
        raise SettingError("data.protocol", message, f"{hint} Or choose another data set first.")


def _data_from_table(table: dict[str, Any], where: str) -> DataConfig:
    data = from_table(DataConfig, table, "data", where)
    protocols = DATASETS[data.dataset].protocols
    if "protocol" not in table and data.protocol not in protocols:
        return dataclasses.replace(data, protocol=protocols[0])
    _require_protocol(data.dataset, data.protocol)
    return data


def apply_assignment(config: RunConfig, assignment: str) -> RunConfig:
    """The configuration after `section.key=value`, as written on the command line."""
    path, equals, text = assignment.partition("=")
    path = path.strip()
    if not equals:
        raise SettingError(
            path, f"{quoted(assignment)} sets nothing.", "Write it as section.key=value, such as training.epochs=5."
        )
    return with_value(config, path, parse_text(setting_at(config, path), text, path))


def run_config_from_table(table: Mapping[str, Any], where: str) -> RunConfig:
    """The configuration that a file's tables say; missing keys keep their defaults, unknown ones are errors."""
    known = ("data", "model", "training", "recording")
    extra = [key for key in table if key not in known]
    if extra:
        raise SettingError(
            extra[0], f"{where} has a section that does not exist: [{extra[0]}].", nearest_hint(extra[0], known)
        )
    tables: dict[str, dict[str, Any]] = {}
    for key in known:
        part = table.get(key, {})
        if not isinstance(part, Mapping):
            raise SettingError(key, f"{where}: {key} is not a section.", f"Write [{key}] on a line of its own.")
        tables[key] = dict(part)
    name = tables["model"].pop(_MODEL_NAME, "vae")
    model_name = str(checked_value(_model_setting(), name, f"model.{_MODEL_NAME}"))
    return RunConfig(
        data=_data_from_table(tables["data"], where),
        model_name=model_name,
        model=from_table(MODELS[model_name].config_type, tables["model"], "model", where),
        training=from_table(TrainingConfig, tables["training"], "training", where),
        recording=from_table(RecordingConfig, tables["recording"], "recording", where),
    )


def run_config_to_table(config: RunConfig) -> dict[str, dict[str, Any]]:
    """The complete configuration as TOML tables."""
    return {
        "data": to_table(config.data),
        "model": {_MODEL_NAME: config.model_name, **to_table(config.model)},
        "training": to_table(config.training),
        "recording": to_table(config.recording),
    }


def read_run_config(path: Path) -> RunConfig:
    """The configuration in a TOML file; a preset's own [preset] table is allowed and left out."""
    table = read_toml(path)
    table.pop("preset", None)
    return run_config_from_table(table, str(path))


@dataclass(frozen=True, slots=True)
class Preset:
    """A configuration that ships with the product."""

    name: str
    title: str
    summary: str
    config: RunConfig


def preset_names() -> tuple[str, ...]:
    """The names of the presets, the default first."""
    found = sorted(path.stem for path in resource_path("presets").glob("*.toml"))
    return (DEFAULT_PRESET, *(name for name in found if name != DEFAULT_PRESET))


def load_preset(name: str) -> Preset:
    """A preset by name; raises UserError that names the nearest one."""
    if name not in preset_names():
        raise UserError(f"There is no preset named {quoted(name)}.", nearest_hint(name, preset_names()))
    path = resource_path("presets") / f"{name}.toml"
    about = read_toml(path)["preset"]
    return Preset(name, about["title"], about["summary"], read_run_config(path))


def default_config() -> RunConfig:
    """What a new window and a plain `train` start from."""
    return load_preset(DEFAULT_PRESET).config
