"""Where the data of a model live; free of torch."""

from __future__ import annotations

from dataclasses import dataclass

POINT_PICTURE_SIDE = 28
"""Height and width of the picture in which a point of the plane is shown."""


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
    def picture_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of what is shown of an item: the item's own, or that of a drawn point."""
        return (1, POINT_PICTURE_SIDE, POINT_PICTURE_SIDE) if self.is_plane else self.image_shape

    @property
    def is_plane(self) -> bool:
        """Whether the items are points of the plane, not pictures."""
        return self.image_shape == (2, 1, 1)
