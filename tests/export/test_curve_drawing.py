from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest

from vae_explorer.export.curve_drawing import Curve, curves_svg


def places(svg: str, style: str = "train") -> list[list[tuple[float, float]]]:
    """The lines of a curve as lists of places."""
    (path,) = [element for element in ET.fromstring(svg).iter("path") if element.get("class") == style]
    return [
        [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", line)]
        for line in path.get("d", "").removesuffix("h0").split("M")[1:]
    ]


def drawn(x: np.ndarray, y: np.ndarray) -> str:
    return curves_svg("KL", "nats", [Curve("KL", "train", x, y)])


def test_a_curve_runs_to_the_right_and_up_where_it_grows() -> None:
    (line,) = places(drawn(np.arange(100.0), np.arange(100.0)))
    assert len(line) == 100
    assert all(x1 < x2 and y1 > y2 for (x1, y1), (x2, y2) in pairwise(line))


def test_of_a_million_points_no_spike_is_lost() -> None:
    y = np.sin(np.linspace(0.0, 50.0, 1_000_000))
    y[[123_456, 777_777]] = 40.0, -40.0
    (line,) = places(drawn(np.arange(1_000_000.0), y))
    assert len(line) < 3_000
    heights = sorted(height for _, height in line)
    assert heights[1] - heights[0] > 50
    assert heights[-1] - heights[-2] > 50
    assert [x for x, _ in line] == sorted(x for x, _ in line)


def test_what_is_no_number_breaks_the_line() -> None:
    y = np.array([1.0, 2.0, np.nan, 3.0, np.inf, 4.0])
    assert [len(line) for line in places(drawn(np.arange(6.0), y))] == [2, 1, 1]
    assert drawn(np.arange(3.0), np.full(3, np.nan)) == ""
    assert drawn(np.zeros(0), np.zeros(0)) == ""


@pytest.mark.parametrize("y", [np.zeros(5), np.full(5, 1e300), np.array([-1e308, 1e308, 0, 1, 2])], ids=str)
def test_any_numbers_can_be_drawn(y: np.ndarray) -> None:
    svg = drawn(np.arange(5.0), y)
    for line in places(svg):
        assert np.isfinite(line).all()
    assert "nan" not in svg
    assert "inf" not in svg


def test_the_start_does_not_decide_the_axis() -> None:
    y = np.concatenate([[1e6], np.linspace(100.0, 90.0, 99)])
    (line,) = places(drawn(np.arange(100.0), y))
    later = [height for _, height in line[1:]]
    assert max(later) - min(later) > 100


def test_words_are_escaped() -> None:
    svg = curves_svg("a < b", "<c>", [Curve("<d>", "train", np.arange(3.0), np.arange(3.0))], [(1.0, "<e> & f")])
    texts = [element.text for element in ET.fromstring(svg).iter() if element.text]
    assert {"a < b", "<c>", "<d>", "<e> & f"} <= set(texts)
