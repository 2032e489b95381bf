"""The data sets on offer, as records.

Imported before torch and numpy are; a record's `load` imports what it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vae_explorer.registry import Registry

if TYPE_CHECKING:
    from vae_explorer.datasets.mnist import LabelledImages

Split = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """One data set: what it is, whose it is, and how its splits are read.

    `image_shape` is (C, H, W). `load` reads one split and opens no file of the other.
    """

    name: str
    title: str
    summary: str
    reference: str
    licence: str
    image_shape: tuple[int, int, int]
    num_classes: int
    class_names: tuple[str, ...]
    load: Callable[[Split], LabelledImages]


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
