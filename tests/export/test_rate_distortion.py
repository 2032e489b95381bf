from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET

import pytest

from vae_explorer.errors import FileError, UserError
from vae_explorer.export.rate_distortion import RatePoint, from_csv, to_csv, to_svg

SVG = "{http://www.w3.org/2000/svg}"


def point(beta: float, rate: float, distortion: float) -> RatePoint:
    return RatePoint(
        beta=beta, rate=rate, rate_error=0.1, distortion=distortion, distortion_error=0.2, elbo=rate + distortion,
        protocol="dynamic", bound="-ELBO(1)", n=1000, split="test", seed=0, step=10, run=f"beta-{beta:g}",
    )  # fmt: skip


POINTS = [point(1.0, 26.0, 74.5), point(0.25, 50.0, 60.0), point(4.0, 10.0, 110.0)]


def test_the_table_comes_back_in_the_order_of_beta() -> None:
    text = to_csv(POINTS)
    assert text.splitlines()[0].startswith("beta,rate,rate_error,distortion")
    assert from_csv(text, "table") == (POINTS[1], POINTS[0], POINTS[2])


@pytest.mark.parametrize("text", ["beta,rate\n1,2\n", to_csv(POINTS).replace("26.0", "many")])
def test_another_table_is_one_sentence(text: str) -> None:
    with pytest.raises(FileError, match="is no table of a sweep"):
        from_csv(text, "other.csv")


def test_the_drawing_places_rate_to_the_right_and_distortion_upwards() -> None:
    root = ET.fromstring(to_svg(POINTS, "A < B & C"))
    circles = root.findall(f"{SVG}circle")
    places = [(float(circle.get("cx", "")), float(circle.get("cy", ""))) for circle in circles]
    assert len(places) == 3
    by_beta = dict(zip([0.25, 1.0, 4.0], places, strict=True))
    assert by_beta[0.25][0] > by_beta[1.0][0] > by_beta[4.0][0], "rate falls with beta"
    assert by_beta[0.25][1] > by_beta[1.0][1] > by_beta[4.0][1], "distortion rises, and the page's y runs down"
    words = [element.text for element in root.findall(f"{SVG}text")]
    assert "A < B & C" in words
    assert "R + D = 100.50 at β 1" in words
    for x, y in places:
        assert 0 < x < 720
        assert 0 < y < 480


@pytest.mark.parametrize("points", [POINTS[:1], [POINTS[0], dataclasses.replace(POINTS[0], beta=2.0)]])
def test_one_point_and_equal_points_are_drawn(points: list[RatePoint]) -> None:
    assert ET.fromstring(to_svg(points, "One")).findall(f"{SVG}circle")


def test_nothing_is_one_sentence() -> None:
    with pytest.raises(UserError, match="nothing to draw"):
        to_svg([], "None")
