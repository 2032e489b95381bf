"""The kinds of paths between latent points, as records, and what a person chooses of them. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vae_explorer.registry import Registry

Metric = Literal["mean", "fisher"]


@dataclass(frozen=True, slots=True)
class PathRecord:
    """One kind of path.

    `needs` what must be there: `codes`. A kind whose needs are not met falls back to the straight line and says so.
    """

    name: str
    title: str
    summary: str
    reference: str
    needs: frozenset[str] = frozenset()


PATHS: Registry[PathRecord] = Registry("path")

for _record in (
    PathRecord(
        "straight",
        "Straight",
        "The straight line of the latent space.",
        "Kingma, Welling: Auto-Encoding Variational Bayes, arXiv 1312.6114",
    ),
    PathRecord(
        "spherical",
        "Spherical",
        "Turns at an even rate from one direction to the other while the radius changes evenly.",
        "White: Sampling Generative Networks, arXiv 1609.04468",
    ),
    PathRecord(
        "graph",
        "Through the data",
        "The shortest way from code to code through the graph of nearest neighbours.",
        "Tenenbaum, de Silva, Langford: A Global Geometric Framework, Science 290, 2000",
        frozenset({"codes"}),
    ),
    PathRecord(
        "geodesic",
        "Geodesic",
        "The way on which the decoded picture changes least: shortest on a grid, then refined as a spline.",
        "Shao, Kumar, Fletcher: The Riemannian Geometry of Deep Generative Models, arXiv 1711.08014; "
        "Arvanitidis, Hansen, Hauberg: Latent Space Oddity, arXiv 1710.11379",
    ),
):
    PATHS.add(_record)


@dataclass(frozen=True, slots=True)
class SpeedRecord:
    """What is equal from one frame of a path to the next."""

    name: str
    title: str
    summary: str
    reference: str


SPEEDS: Registry[SpeedRecord] = Registry("speed")

for _speed in (
    SpeedRecord(
        "latent", "Equal latent steps", "Every frame is as far from the last in the latent space.", "Arc length in R^d"
    ),
    SpeedRecord(
        "visual",
        "Equal visual steps",
        "Every frame's picture differs as much from the last.",
        "Arvanitidis, Hansen, Hauberg: Latent Space Oddity, arXiv 1710.11379, section 2",
    ),
):
    SPEEDS.add(_speed)


@dataclass(frozen=True, slots=True)
class PathMetricRecord:
    """In what the length of a path is measured, and on what surface a geodesic is shortest.

    `words` name the length, `unit` says what it is measured in.
    """

    name: Metric
    title: str
    summary: str
    reference: str
    words: str
    unit: str


PATH_METRICS: Registry[PathMetricRecord] = Registry("metric of paths")

for _metric in (
    PathMetricRecord(
        "mean",
        "Mean pictures",
        "Lengths, and geodesics, by how far the mean picture changes.",
        "Arvanitidis, Hansen, Hauberg: Latent Space Oddity, arXiv 1710.11379, equation 5",
        "visual length",
        "in pixel values from 0 to 1",
    ),
    PathMetricRecord(
        "fisher",
        "Fisher metric",
        "Lengths, and geodesics, by how far the distribution p(x|z) changes; a step of length 1 is a KL of 1/2 nat.",
        "Arvanitidis et al.: Pulling back information geometry, arXiv 2106.05367",
        "Fisher length",
        "in which a small step of length 1 is a KL of ½ nat",
    ),
):
    PATH_METRICS.add(_metric)

FEWEST_FRAMES, MOST_FRAMES = 2, 240


@dataclass(frozen=True, slots=True)
class Bend:
    """A latent point through which a segment of the path is bent; segment 0 leads from the first pin to the second."""

    segment: int
    z: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PathChoice:
    """What a person chose of a path: names of a record of `PATHS`, `SPEEDS` and `PATH_METRICS`, frames, bends."""

    kind: str = "straight"
    speed: str = "latent"
    num_frames: int = 11
    bends: tuple[Bend, ...] = ()
    metric: Metric = "mean"
