"""Settings: frozen dataclasses whose fields say their label, unit, range and help.

A configuration is a keyword-only frozen dataclass whose fields are made with `setting(...)`. From those fields follow
the TOML reader, the command line's `--set`, and the window's form; none of them knows a single setting by name.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_type_hints

from vae_explorer.errors import FileError, SettingError, nearest_hint, quoted

Value = int | float | str | bool | tuple[int, ...]
Kind = Literal["integer", "number", "text", "flag", "choice", "integers"]
Choices = tuple[str, ...] | Callable[[], tuple[str, ...]]
ConfigT = TypeVar("ConfigT")

MAXIMUM_FILE_BYTES = 1_000_000
_METADATA_KEY = "vae_explorer.setting"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One field of a configuration, as a form or a flag needs to know it."""

    name: str
    label: str
    help: str
    kind: Kind
    default: Value
    formula: str = ""  # where the setting stands in the mathematics
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False  # may be changed while training runs
    logarithmic: bool = False  # steps of a factor suit it better than steps of an amount
    advanced: bool = False

    @property
    def range_text(self) -> str:
        """The allowed values in words, such as `1 to 4096`; empty where all are allowed."""
        if self.minimum is not None and self.maximum is not None:
            return f"{_number_text(self.minimum)} to {_number_text(self.maximum)}"
        if self.minimum is not None:
            return f"at least {_number_text(self.minimum)}"
        if self.maximum is not None:
            return f"at most {_number_text(self.maximum)}"
        return ""


def _number_text(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:g}"


def setting(
    default: Value,
    *,
    label: str,
    help: str,  # noqa: A002 - the word a reader expects here
    formula: str = "",
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Choices | None = None,
    live: bool = False,
    logarithmic: bool = False,
    advanced: bool = False,
) -> Any:
    """A dataclass field that carries what `Setting` says of it."""
    facts = {
        "label": label, "help": help, "formula": formula, "unit": unit, "minimum": minimum, "maximum": maximum,
        "choices": choices, "live": live, "logarithmic": logarithmic, "advanced": advanced,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata={_METADATA_KEY: facts})


@cache  # resolving them costs more than all the rest, and a form asks at every key press
def _types_of(config_type: Hashable) -> dict[str, Any]:
    return get_type_hints(config_type)


def settings_of(config_type: type[Any]) -> tuple[Setting, ...]:
    """The settings of a configuration type, in the order of its fields."""
    return tuple(
        item if choices is None else dataclasses.replace(item, choices=choices())
        for item, choices in _described(config_type)  # type: ignore[arg-type]  # every class is hashable
    )


@cache  # a library asks for those of a thousand runs
def _described(config_type: Hashable) -> tuple[tuple[Setting, Callable[[], tuple[str, ...]] | None], ...]:
    """Each setting, and what gives its choices where those are asked for anew each time."""
    types = _types_of(config_type)
    found = []
    for field in dataclasses.fields(cast("Any", config_type)):
        facts = dict(field.metadata[_METADATA_KEY])
        choices = facts.pop("choices")
        kind = "choice" if choices is not None else _KINDS[types[field.name]]
        listed = () if callable(choices) else choices or ()
        default = cast("Value", field.default)
        item = Setting(name=field.name, kind=kind, default=default, choices=listed, **facts)
        found.append((item, choices if callable(choices) else None))
    return tuple(found)


_KINDS: dict[Any, Kind] = {
    int: "integer", float: "number", str: "text", bool: "flag", tuple[int, ...]: "integers",
}  # fmt: skip


def checked_value(setting: Setting, value: object, where: str) -> Value:
    """The value in the setting's own type, or SettingError; `where` is the key shown, such as `training.epochs`.

    Whole floats are taken for integers and integers for numbers, since TOML and forms mix them; nothing else is
    converted.
    """
    match setting.kind:
        case "flag":
            if isinstance(value, bool):
                return value
            raise _wrong_type(setting, value, where, "true or false")
        case "integer":
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if isinstance(value, int) and not isinstance(value, bool):
                _check_range(setting, value, where)
                return value
            raise _wrong_type(setting, value, where, "a whole number")
        case "number":
            if isinstance(value, int | float) and not isinstance(value, bool):
                number = float(value)
                _check_range(setting, number, where)
                return number
            raise _wrong_type(setting, value, where, "a number")
        case "integers":
            if isinstance(value, list | tuple) and all(isinstance(v, int) and not isinstance(v, bool) for v in value):
                for number in value:
                    _check_range(setting, number, where)
                return tuple(value)
            raise _wrong_type(setting, value, where, "a list of whole numbers, such as 512, 256")
        case "choice":
            if isinstance(value, str) and value in setting.choices:
                return value
            hint = nearest_hint(str(value), setting.choices)
            raise SettingError(where, f"{where} cannot be {quoted(value)}.", hint)
        case "text":
            if isinstance(value, str):
                return value
            raise _wrong_type(setting, value, where, "text")


def _wrong_type(setting: Setting, value: object, where: str, wanted: str) -> SettingError:
    return SettingError(where, f"{where} cannot be {value!r:.80}.", f"{setting.label} takes {wanted}.")


def _check_range(setting: Setting, number: float, where: str) -> None:
    low = setting.minimum is not None and number < setting.minimum
    high = setting.maximum is not None and number > setting.maximum
    if low or high or not math.isfinite(number):
        raise SettingError(
            where, f"{where} cannot be {number:g}.", f"{setting.label} takes {setting.range_text or 'a finite number'}."
        )


def parse_text(setting: Setting, text: str, where: str) -> Value:
    """The value that a person wrote as text (a flag's argument, a form's field); raises SettingError."""
    text = text.strip()
    value: object = text
    try:
        match setting.kind:
            case "integer":
                value = int(text.replace("_", "")) if not any(c in text for c in ".eE") else float(text)
            case "number":
                value = float(text)
            case "flag":
                value = {"true": True, "false": False, "on": True, "off": False}.get(text.lower(), text)
            case "integers":
                value = [int(part) for part in text.strip("[]()").replace(",", " ").split()]
            case "text" | "choice":
                pass
    except ValueError:
        value = text
    return checked_value(setting, value, where)


def text_of(setting: Setting, value: Value) -> str:
    """The value as `parse_text` reads it back."""
    match setting.kind:
        case "integers":
            return ", ".join(str(v) for v in value) if isinstance(value, tuple) else str(value)
        case "number":
            return f"{value:.10g}"
        case "flag":
            return "true" if value else "false"
        case _:
            return str(value)


def check(config: object, section: str = "") -> None:
    """Raise SettingError where a value of the configuration is out of its range."""
    for item in settings_of(type(config)):
        checked_value(item, getattr(config, item.name), f"{section}.{item.name}" if section else item.name)


def from_table(config_type: type[ConfigT], table: Mapping[str, object], section: str, where: str) -> ConfigT:
    """The configuration that a TOML table says; what it leaves out keeps its default.

    `section` is the table's name and `where` the file's. Raises SettingError for an unknown key (naming the nearest)
    or a value that does not fit.
    """
    known = {item.name: item for item in settings_of(config_type)}
    values: dict[str, Value] = {}
    for name, value in table.items():
        key = f"{section}.{name}"
        if name not in known:
            raise SettingError(key, f"{where} has a key that does not exist: {key}.", nearest_hint(name, known))
        values[name] = checked_value(known[name], value, key)
    return config_type(**values)


def to_table(config: object) -> dict[str, Any]:
    """The configuration as a TOML table, complete."""
    table = {}
    for item in settings_of(type(config)):
        value = getattr(config, item.name)
        table[item.name] = list(value) if isinstance(value, tuple) else value
    return table


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file of at most 1 MB; raises FileError with the file and the reason."""
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_FILE_BYTES + 1)
    except OSError as error:
        raise FileError(
            path, f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions."
        ) from error
    if len(content) > MAXIMUM_FILE_BYTES:
        raise FileError(
            path, f"{path} is larger than 1 MB.", "A configuration file is a few lines; choose another file."
        )
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise FileError(path, f"{path} is not text in UTF-8.", "Mend that place, or start from a preset.") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FileError(
            path, f"{path} is not a TOML file: {error}.", "Mend that place, or start from a preset."
        ) from error
