from __future__ import annotations

from dataclasses import fields
from itertools import combinations

import numpy as np
import pytest

from vae_explorer.gui.stylesheet import stylesheet
from vae_explorer.gui.theme import CLASS_COLOURS, DARK, LIGHT, Theme, class_colour, term_colour
from vae_explorer.gui.widgets.map_ink import layer_ink, role_colour, sequential_ramp
from vae_explorer.models.catalogue import MODELS

# Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB.
SIGHTS = {
    "ordinary": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def oklab(values: np.ndarray) -> np.ndarray:
    """Björn Ottosson, "A perceptual color space for image processing", 2020."""
    return TO_LAB @ np.cbrt(TO_CONES @ np.clip(values, 0, 1))


def contrast(one: str, other: str) -> float:
    """WCAG 2.1."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    bright, dim = sorted((float(weights @ linear(one)), float(weights @ linear(other))), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("sight", SIGHTS)
def test_class_colours_are_told_apart(sight: str) -> None:
    seen = [oklab(SIGHTS[sight] @ linear(colour)) for colour in CLASS_COLOURS]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 0.11


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_colours_show_on_their_ground(theme: Theme) -> None:
    assert min(contrast(colour, theme.panel) for colour in CLASS_COLOURS) > 1.5
    for ground in (theme.panel, theme.background, theme.raised):
        assert contrast(theme.text, ground) > 7
        assert contrast(theme.muted, ground) > 4.5
    assert contrast(theme.accent_text, theme.accent) > 4.5
    for ground in (theme.note_ground, theme.warning_ground, theme.error_ground):
        assert contrast(theme.text, ground) > 7
    for record in MODELS:
        for term in record.terms:
            assert contrast(term_colour(term.name, theme.is_dark), theme.panel) > 3


def test_terms_of_a_model_have_different_colours() -> None:
    for record in MODELS:
        for dark in (False, True):
            assert len({term_colour(term.name, dark) for term in record.terms}) == len(record.terms)
    assert term_colour("something_new", False) == term_colour("something_new", False)
    assert class_colour(10) == class_colour(0)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_style_sheet_is_complete(theme: Theme) -> None:
    sheet = stylesheet(theme)
    assert "$" not in sheet
    assert sheet.count("{") == sheet.count("}")
    for field in fields(theme):
        value = getattr(theme, field.name)
        if field.name not in {"name", "is_dark"}:
            assert len(value) == 7, field.name
            int(value[1:], 16)


def hexed(row_4: np.ndarray) -> str:
    blue, green, red = (int(value) for value in row_4[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"


@pytest.mark.parametrize("sight", SIGHTS)
def test_ramps_of_the_map_are_read_alike_by_every_eye(sight: str) -> None:
    """The sequential one only ever grows lighter; the ends of the diverging one are far apart, and from its middle."""
    lightness = [oklab(SIGHTS[sight] @ linear(hexed(row)))[0] for row in sequential_ramp()[::8]]
    assert min(np.diff(lightness)) > 0
    assert lightness[-1] - lightness[0] > 0.5
    for theme in (LIGHT, DARK):
        diverging = layer_ink(theme).diverging_256
        low, middle, high = (oklab(SIGHTS[sight] @ linear(hexed(diverging[at]))) for at in (0, 127, 255))
        assert np.linalg.norm(low - high) > 0.15
        assert min(np.linalg.norm(low - middle), np.linalg.norm(high - middle)) > 0.25


def test_roles_of_drawings_have_colours_in_both_looks() -> None:
    roles = ("text", "muted", "accent", "positive", "negative", "warning", "class:0", "class:13")
    for theme in (LIGHT, DARK):
        colours = [role_colour(role, theme) for role in roles]
        assert all(colour.isValid() for colour in colours)
        assert len({colour.name() for colour in colours}) == len(roles)
