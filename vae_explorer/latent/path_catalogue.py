"""The kinds of paths between latent points, as records, and what a person chooses of them. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.registry import Registry


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

FEWEST_FRAMES, MOST_FRAMES = 2, 240


@dataclass(frozen=True, slots=True)
class Bend:
    """A latent point through which a segment of the path is bent; segment 0 leads from the first pin to the second."""

    segment: int
    z: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PathChoice:
    """What a person chose of a path: names of a record of `PATHS` and of `SPEEDS`, frames, bends in order."""

    kind: str = "straight"
    speed: str = "latent"
    num_frames: int = 11
    bends: tuple[Bend, ...] = ()
