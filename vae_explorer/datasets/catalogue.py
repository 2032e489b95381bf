"""The data sets on offer, as records.

Imported before torch and numpy are; a record's `load` imports what it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from vae_explorer.registry import Registry

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import RenderedSplit
    from vae_explorer.datasets.mnist import LabelledImages
    from vae_explorer.datasets.points import PointDistribution

Split = Literal["train", "test"]

PICTURE_PROTOCOLS = ("grey", "dynamic", "static", "threshold", "continuous-bernoulli", "gaussian", "discrete")
"""Under which pictures of grey levels can be seen."""


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """One data set: what it is, whose it is, under which protocols it can be seen, and how its splits are read.

    `image_shape` is (C, H, W), (2, 1, 1) for points of the plane. The first of `protocols` is the one it is seen under
    unless another is asked for. `factor_names` and `factor_sizes` say what a picture was made from, where that is
    known. `load` reads one split and opens no file of the other. `distribution` gives that from which points were
    drawn.
    """

    name: str
    title: str
    summary: str
    reference: str
    licence: str
    image_shape: tuple[int, int, int]
    num_classes: int
    class_names: tuple[str, ...]
    load: Callable[[Split], LabelledImages | RenderedSplit]
    protocols: tuple[str, ...] = PICTURE_PROTOCOLS
    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()
    distribution: Callable[[], PointDistribution] | None = None

    @property
    def kind(self) -> Literal["pictures", "points"]:
        """Whether items are pictures or points of the plane."""
        return "points" if self.image_shape == (2, 1, 1) else "pictures"


DATASETS: Registry[DatasetRecord] = Registry("data set")


def _load_mnist(split: Split) -> LabelledImages:
    from vae_explorer.datasets.mnist import load_mnist

    return load_mnist(split)


DATASETS.add(
    DatasetRecord(
        name="mnist",
        title="MNIST handwritten digits",
        summary="Handwritten digits: 60,000 training and 10,000 test images, 28 x 28 grey pixels, 10 kinds.",
        reference="LeCun, Cortes, Burges: The MNIST database of handwritten digits",
        licence="CC BY-SA 3.0, Y. LeCun, C. Cortes, C. J. C. Burges",
        image_shape=(1, 28, 28),
        num_classes=10,
        class_names=tuple(str(digit) for digit in range(10)),
        load=_load_mnist,
    )
)


def _load_points(name: str, split: Split) -> LabelledImages:
    from vae_explorer.datasets.mnist import LabelledImages
    from vae_explorer.datasets.points import draw_split

    return LabelledImages(*draw_split(name, split))


def _distribution(name: str) -> PointDistribution:
    from vae_explorer.datasets.points import DISTRIBUTIONS

    return DISTRIBUTIONS[name]


def _add_points(name: str, title: str, summary: str, reference: str, class_names: tuple[str, ...] = ()) -> None:
    DATASETS.add(
        DatasetRecord(
            name=name,
            title=title,
            summary=f"{summary}; 20,000 training and 5,000 test points of the plane, density known.",
            reference=reference,
            licence="drawn by the program itself",
            image_shape=(2, 1, 1),
            num_classes=len(class_names),
            class_names=class_names,
            load=partial(_load_points, name),
            protocols=("gaussian",),
            distribution=partial(_distribution, name),
        )
    )


_FFJORD = "After Grathwohl et al., FFJORD, arXiv:1810.01367"
_add_points(
    "eight-gaussians", "Eight Gaussians", "Eight round Gaussians on a circle", _FFJORD,
    ("right", "upper right", "top", "upper left", "left", "lower left", "bottom", "lower right"),
)  # fmt: skip
_add_points(
    "two-moons", "Two moons", "Two half circles that reach into one another, blurred",
    "After scikit-learn, make_moons", ("upper", "lower"),
)  # fmt: skip
_add_points(
    "pinwheel", "Pinwheel", "Five long Gaussians around the origin, twisted so that areas are kept",
    "After Johnson et al., Composing graphical models, arXiv:1603.06277", ("1", "2", "3", "4", "5"),
)  # fmt: skip
_add_points("swiss-roll", "Swiss roll", "A spiral of one turn and a half, blurred", "After Marsland, Machine Learning")
_add_points("checkerboard", "Checkerboard", "The dark squares of a board of 4 x 4, uniformly", _FFJORD)
_add_points("ring", "Ring", "A circle with a Gaussian radius", _FFJORD)


def _load_sprites(split: Split) -> RenderedSplit:
    from vae_explorer.datasets.sprites import load_sprites

    return load_sprites(split)


DATASETS.add(
    DatasetRecord(
        name="sprites",
        title="Sprites with known factors",
        summary="One of 3 shapes at 6 scales, 40 angles and 32 x 32 places: 727,280 training and 10,000 test pictures, "
        "64 x 64 binary pixels.",
        reference="After Matthey et al., dSprites, 2017, with other shapes",
        licence="drawn by the program itself",
        image_shape=(1, 64, 64),
        num_classes=3,
        class_names=("drop", "heart", "crescent"),
        load=_load_sprites,
        # Every protocol for binary pixels would give the same pictures.
        protocols=("threshold", "gaussian"),
        factor_names=("shape", "scale", "angle", "place to the right", "place downwards"),
        factor_sizes=(3, 6, 40, 32, 32),
    )
)
