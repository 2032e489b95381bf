"""Where the data of a model live; free of torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DataSpace:
    """What a network is built for: the shape of an item, how many classes there are, and how pixels are scored.

    `image_shape` is (C, H, W); points of the plane are (2, 1, 1). `num_classes` is 0 without labels. `protocol` decides
    the likelihood p(x|z) (`observation`). `num_items` is how many items the model is trained on, 0 where that is not
    known: only minibatch estimates of the aggregate posterior and EM ask for it.
    """

    image_shape: tuple[int, int, int]
    num_classes: int = 0
    protocol: str = "grey"
    num_items: int = 0

    @property
    def num_pixels(self) -> int:
        """C x H x W."""
        channels, height, width = self.image_shape
        return channels * height * width

    @property
    def is_plane(self) -> bool:
        """Whether the items are points of the plane, not pictures."""
        return self.image_shape == (2, 1, 1)
