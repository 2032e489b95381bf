from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_explorer.config import (
    check,
    checked_value,
    from_table,
    parse_text,
    read_toml,
    setting,
    settings_of,
    text_of,
    to_table,
)
from vae_explorer.errors import FileError, SettingError, quoted


@dataclass(frozen=True, kw_only=True)
class Oven:
    degrees: float = setting(180.0, label="Heat", unit="°C", minimum=0, maximum=300, help="How hot.")
    minutes: int = setting(20, label="Time", minimum=1, maximum=600, help="How long.")
    trays: tuple[int, ...] = setting((1, 2), label="Trays", minimum=1, maximum=9, help="Which.")
    fan: bool = setting(False, label="Fan", help="Whether it blows.")
    mode: str = setting("top", label="Mode", choices=("top", "bottom"), help="From where.")
    name: str = setting("oven", label="Name", help="Any.")


BY_NAME = {item.name: item for item in settings_of(Oven)}


def test_kinds_follow_from_the_field_types() -> None:
    assert {name: item.kind for name, item in BY_NAME.items()} == {
        "degrees": "number", "minutes": "integer", "trays": "integers", "fan": "flag", "mode": "choice", "name": "text",
    }  # fmt: skip


def test_a_table_and_back_is_the_same_configuration() -> None:
    oven = Oven(degrees=200.5, minutes=3, trays=(4,), fan=True, mode="bottom", name="Ofen")
    assert from_table(Oven, to_table(oven), "oven", "oven.toml") == oven


def test_an_unknown_key_names_file_key_and_nearest() -> None:
    with pytest.raises(SettingError) as caught:
        from_table(Oven, {"minuts": 3}, "oven", "oven.toml")
    assert "oven.toml" in caught.value.message
    assert "oven.minuts" in caught.value.message
    assert "'minutes'" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("degrees", 301), ("degrees", float("nan")), ("degrees", True), ("degrees", "hot"), ("minutes", 2.5),
        ("minutes", 0), ("trays", [0]), ("trays", "1"), ("trays", [True]), ("fan", 1), ("mode", "tpo"), ("name", 3),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_one_sentence_what_and_one_what_to_do(name: str, value: object) -> None:
    with pytest.raises(SettingError) as caught:
        checked_value(BY_NAME[name], value, f"oven.{name}")
    assert f"oven.{name}" in caught.value.message
    assert caught.value.hint.endswith((".", "?"))


def test_ranges_read_as_a_person_writes_them() -> None:
    assert BY_NAME["minutes"].range_text == "1 to 600"
    large = dataclasses.replace(BY_NAME["minutes"], maximum=1_000_000)
    assert large.range_text == "1 to 1,000,000"
    assert dataclasses.replace(large, minimum=None).range_text == "at most 1,000,000"
    assert BY_NAME["name"].range_text == ""


def test_check_finds_a_bad_value_in_a_configuration_made_by_hand() -> None:
    with pytest.raises(SettingError, match=r"oven\.minutes"):
        check(Oven(minutes=0), "oven")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("minutes", "1e2", 100), ("degrees", " 3e-3 ", 0.003), ("trays", "[1, 2,3]", (1, 2, 3)), ("trays", "", ()),
        ("fan", "true", True), ("mode", "bottom", "bottom"),
    ],
)  # fmt: skip
def test_text_is_read_as_a_person_writes_it(name: str, text: str, value: object) -> None:
    assert parse_text(BY_NAME[name], text, name) == value


@given(st.floats(0, 300), st.integers(1, 600), st.lists(st.integers(1, 9)).map(tuple), st.booleans())
def test_text_of_is_read_back(degrees: float, minutes: int, trays: tuple[int, ...], fan: bool) -> None:
    for name, value in {"minutes": minutes, "trays": trays, "fan": fan}.items():
        assert parse_text(BY_NAME[name], text_of(BY_NAME[name], value), name) == value
    assert parse_text(BY_NAME["degrees"], text_of(BY_NAME["degrees"], degrees), "d") == pytest.approx(degrees, rel=1e-9)


@given(st.text())
def test_no_text_is_worse_than_a_setting_error(text: str) -> None:
    for name, item in BY_NAME.items():
        try:
            value = parse_text(item, text, name)
        except SettingError:
            continue
        assert checked_value(item, value, name) == value


def test_files_that_are_not_toml_say_so(tmp_path) -> None:
    path = tmp_path / "broken.toml"
    for content in (b"[x", b"\xff\xfe", b"a = " + b"[" * 5000):
        path.write_bytes(content)
        with pytest.raises(FileError, match=r"broken\.toml is not (a TOML file|text in UTF-8)"):
            read_toml(path)
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(FileError, match="larger than 1 MB"):
        read_toml(path)
    with pytest.raises(FileError, match="cannot be read"):
        read_toml(tmp_path / "none.toml")


def test_what_a_stranger_wrote_is_quoted_in_one_short_line() -> None:
    assert quoted("a\tb\u202ec") == "'a?b?c'"
    assert quoted("x" * 80) == f"'{'x' * 80}'"
    assert quoted("x" * 10**6) == f"'{'x' * 80}…'"
