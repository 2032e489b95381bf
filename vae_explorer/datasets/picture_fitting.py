"""A person's own picture made to look like those of a data set, and in words what was done to it.

Sets like MNIST show ink on a plain ground, always of one size and in one place; a drawing or a photo of paper does not.
Such a picture is made light on dark (or the reverse), cropped to its ink, scaled with antialiasing and centred as the
set's own pictures are (LeCun, Cortes, Burges: the MNIST page; 20 x 20 in 28 x 28 by centre of mass). All of it is
measured on the set. numpy and Pillow, neither torch nor Qt; any thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Invert = Literal["auto"] | bool

# What a person draws or photographs is never looked at finer than this: scaling to a few dozen pixels loses it anyway.
_WORKING_SIDE = 1024
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

# In grey levels: how far a border may vary and be plain; below which difference from the ground nothing is ink.
_PLAIN_RANGE = 24.0
_LEAST_INK = 6.0
_PLAIN_SHARE = 0.85
# As parts of the strongest ink: what counts as ink for the box; below which contrast is stretched.
_BOX_THRESHOLD = 0.1
_FULL_CONTRAST = 0.9
_THIN = 0.75


@dataclass(frozen=True, slots=True)
class TypicalPicture:
    """How the pictures of a set usually stand in their frame, (H, W) pixels; brightness from 0 to 255.

    `ground` is the brightness of the border, `is_plain` whether most of the border has it. `content_side` is the longer
    side of the box around what differs from the ground, `centre` = (x, y) where its middle lies: the centre of mass
    where `is_mass_centred`, else that of the box.
    """

    ground: float
    is_plain: bool
    is_ink_lighter: bool
    content_side: float
    centre: tuple[float, float]
    is_mass_centred: bool


@dataclass(frozen=True, slots=True, eq=False)
class FittedPicture:
    """What the network is shown: `pixels` uint8 (C, H, W), and what was done for it, in words."""

    pixels: UInt8
    steps: tuple[str, ...]
    is_inverted: bool


def typical_of(images_NCHW: UInt8) -> TypicalPicture | None:
    """Measure a sample of a set, uint8 (N, C, H, W); a few hundred are enough. None for an empty one."""
    if not images_NCHW.size:
        return None
    grey_NHW = images_NCHW.astype(np.float32).mean(1)
    height, width = grey_NHW.shape[1:]
    border_NP = np.stack([_border(grey_HW, 1) for grey_HW in grey_NHW])
    ground = float(np.median(border_NP))
    plain_N = (np.abs(border_NP - ground) <= _PLAIN_RANGE).mean(1)
    ink_NHW = grey_NHW - ground
    strong_NHW = np.abs(ink_NHW) > np.maximum(_BOX_THRESHOLD * np.abs(ink_NHW).max((1, 2), keepdims=True), _LEAST_INK)
    strong_NHW = strong_NHW[strong_NHW.any((1, 2))]
    if not len(strong_NHW):
        middle = ((width - 1) / 2, (height - 1) / 2)
        return TypicalPicture(ground, True, ground < 128, float(max(height, width)), middle, False)
    boxes_N4 = np.array([_box(strong_HW) for strong_HW in strong_NHW])
    box_centres_N2 = (boxes_N4[:, :2] + boxes_N4[:, 2:] - 1) / 2
    weight_NHW = np.abs(ink_NHW)[np.abs(ink_NHW).max((1, 2)) > _LEAST_INK]
    mass_N2 = np.array([_centre_of_mass(weight_HW) for weight_HW in weight_NHW])
    is_mass_centred = bool(mass_N2.std(0).sum() <= box_centres_N2.std(0).sum())
    x, y = np.median(mass_N2 if is_mass_centred else box_centres_N2, axis=0)
    side = float(np.median((boxes_N4[:, 2:] - boxes_N4[:, :2]).max(1)))
    is_plain = float(np.median(plain_N)) >= _PLAIN_SHARE
    is_ink_lighter = bool(ink_NHW[np.abs(ink_NHW) > _LEAST_INK].sum() >= 0)
    return TypicalPicture(ground, is_plain, is_ink_lighter, side, (float(x), float(y)), is_mass_centred)


def fit_picture(
    pixels: UInt8,
    image_shape: tuple[int, int, int],
    typical: TypicalPicture | None = None,
    invert: Invert = "auto",
    least_share: float = 0.0,
) -> FittedPicture:
    """Make uint8 (H, W), (H, W, 3) or (H, W, 4) one picture of `image_shape` = (C, H, W) that looks like the set's.

    `typical` None takes the picture as it stands, only cut and scaled. Ink smaller than `least_share` of the picture's
    longer side is not enlarged to full size: the first dot of a drawing is still a dot.
    """
    num_channels = image_shape[0]
    steps: list[str] = []
    full_size = (pixels.shape[1], pixels.shape[0])
    working = _over_a_ground(_reduced(pixels), steps)
    is_on_ground = typical is not None and typical.is_plain
    if num_channels != 3:
        grey_HW = _grey(working, steps, by_difference=is_on_ground)
        if typical is not None and is_on_ground:
            fitted_HW, is_inverted = _ink_in_frame(
                grey_HW, image_shape[1:], full_size, typical, invert, least_share, steps
            )
        else:
            is_inverted = invert is True
            fitted_HW = _framed(_inverted(grey_HW, is_inverted, steps), image_shape[1:], full_size, False, steps)
        fitted_CHW = np.repeat(fitted_HW[None], num_channels, axis=0)
        if num_channels > 1:
            steps.append(f"the same grey levels in each of {num_channels} channels")
    else:
        colour_HW3 = working if working.ndim == 3 else np.repeat(working[..., None], 3, axis=2)
        if working.ndim == 2:
            steps.append("the same grey levels in red, green and blue")
        is_inverted = invert is True
        if invert == "auto" and typical is not None and is_on_ground:
            is_inverted = _is_ink_lighter(colour_HW3 @ _LUMA) not in (None, typical.is_ink_lighter)
        colour_HW3 = _inverted(colour_HW3, is_inverted, steps)
        fitted_CHW = np.moveaxis(_framed(colour_HW3, image_shape[1:], full_size, is_on_ground, steps), -1, 0)
    levels_CHW = (fitted_CHW + 0.5).clip(0, 255).astype(np.uint8)
    return FittedPicture(np.ascontiguousarray(levels_CHW), tuple(steps or ["taken as it is"]), is_inverted)


def _reduced(pixels: UInt8) -> UInt8:
    factor = -(-max(pixels.shape[:2]) // _WORKING_SIDE)
    return pixels if factor <= 1 else np.asarray(Image.fromarray(pixels).reduce(factor))


def _over_a_ground(pixels: UInt8, steps: list[str]) -> Float32:
    """Float32 (H, W) or (H, W, 3); what is transparent becomes white, or black under light ink."""
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return pixels.astype(np.float32)
    colour_HW3 = pixels[..., :3].astype(np.float32)
    alpha_HW = pixels[..., 3].astype(np.float32) / 255
    covered = float(alpha_HW.sum())
    is_light = covered > 0 and float((colour_HW3 @ _LUMA * alpha_HW).sum()) / covered >= 128
    steps.append(f"what is transparent became {'black' if is_light else 'white'}")
    ground = 0.0 if is_light else 255.0
    return np.asarray(ground + (colour_HW3 - ground) * alpha_HW[..., None], dtype=np.float32)


def _grey(picture: Float32, steps: list[str], by_difference: bool) -> Float32:
    if picture.ndim == 2:
        return picture
    luma_HW: Float32 = picture @ _LUMA
    if float(np.ptp(picture, axis=2).max()) <= 4:
        return luma_HW
    if by_difference:
        # Red ink on green may have no contrast in brightness at all.
        ground_3 = np.array([np.median(_border(picture[..., channel], 2)) for channel in range(3)], dtype=np.float32)
        ground = float(ground_3 @ _LUMA)
        distance_HW = np.sqrt(np.square(picture - ground_3).mean(2))
        if _strongest(np.abs(luma_HW - ground)) < 0.5 * _strongest(distance_HW):
            steps.append("turned grey by the difference from the ground's colour")
            return np.asarray(ground + distance_HW * (-1 if ground >= 128 else 1), dtype=np.float32)
    steps.append("turned grey")
    return luma_HW


def _inverted(picture: Float32, is_inverted: bool, steps: list[str]) -> Float32:
    if is_inverted:
        steps.append("inverted")
    return 255 - picture if is_inverted else picture


def _ink_in_frame(
    grey_HW: Float32,
    frame: tuple[int, int],
    full_size: tuple[int, int],
    typical: TypicalPicture,
    invert: Invert,
    least_share: float,
    steps: list[str],
) -> tuple[Float32, bool]:
    ground = _ground(grey_HW)
    is_lighter = _is_ink_lighter(grey_HW)
    if is_lighter is None:
        is_inverted = invert is True
        steps.append("nothing stands out from the ground")
        return np.full(frame, 255 - typical.ground if is_inverted else typical.ground, np.float32), is_inverted
    is_inverted = is_lighter != typical.is_ink_lighter if invert == "auto" else invert
    ink_HW = np.maximum((grey_HW - ground) * (1 if is_lighter else -1), 0)
    strongest = _strongest(ink_HW)
    floor = min(3 * _noise(grey_HW, ground), 0.5 * strongest)
    if is_inverted:
        was, became = ("light on dark", "dark on light") if is_lighter else ("dark on light", "light on dark")
        steps.append(f"inverted: {was} became {became}")
    if strongest < _FULL_CONTRAST * 255 or floor > 0:
        ink_HW = ((ink_HW - floor) / (strongest - floor)).clip(0, 1)
        if strongest < _FULL_CONTRAST * 255:
            steps.append(f"contrast stretched: the ink had {100 * strongest / 255:.0f} % of the full range")
    else:
        ink_HW = ink_HW / 255
    inside_HW = _placed(ink_HW, frame, full_size, typical, least_share, steps)
    end = 255.0 if typical.is_ink_lighter else 0.0
    fitted_HW = typical.ground + (end - typical.ground) * inside_HW
    is_as_typical = (is_lighter != is_inverted) == typical.is_ink_lighter
    return (fitted_HW if is_as_typical else 255 - fitted_HW), is_inverted


def _placed(
    ink_HW: Float32,
    frame: tuple[int, int],
    full_size: tuple[int, int],
    typical: TypicalPicture,
    least_share: float,
    steps: list[str],
) -> Float32:
    """Ink of 0 to 1 cropped, scaled to the set's usual size and put where the set has it; float32 (H, W)."""
    height, width = frame
    left, top, right, bottom = _box(ink_HW > _BOX_THRESHOLD)
    factor = full_size[0] / ink_HW.shape[1]
    box_width, box_height = right - left, bottom - top
    side = max(box_width, box_height, least_share * max(ink_HW.shape))
    scale = min(typical.content_side / side, width / box_width, height / box_height)
    if ink_HW.shape == frame and 0.8 <= scale <= 1.25:
        # Already one of the set's kind: resampling would only blur it. Its faintest pixels come along.
        scale = 1.0
        left, top, right, bottom = _box(ink_HW > 0)
    cropped_HW = ink_HW[top:bottom, left:right]
    if cropped_HW.shape != ink_HW.shape and scale != 1.0:
        steps.append("cropped to the ink")
    if scale == 1.0:
        scaled_HW = cropped_HW
    else:
        size = max(1, round(box_width * scale)), max(1, round(box_height * scale))
        scaled_HW = _resized(cropped_HW, size).clip(0, 1)
        was = f"{round(box_width * factor)} x {round(box_height * factor)}"
        steps.append(f"scaled from {was} to {size[0]} x {size[1]} in a frame of {width} x {height}")
        strongest = float(scaled_HW.max())
        if 0 < strongest < _THIN * float(cropped_HW.max()):
            scaled_HW = scaled_HW / strongest
            steps.append(f"thin strokes made {1 / strongest:.1f} times as strong")
    rows, columns = scaled_HW.shape
    if typical.is_mass_centred:
        x, y = _centre_of_mass(scaled_HW)
    else:
        x, y = (columns - 1) / 2, (rows - 1) / 2
    at_x = min(max(round(typical.centre[0] - x), 0), width - columns)
    at_y = min(max(round(typical.centre[1] - y), 0), height - rows)
    if scale == 1.0 and ink_HW.shape == frame and max(abs(at_x - left), abs(at_y - top)) <= 1:
        at_x, at_y = left, top
    else:
        steps.append("centred by its centre of mass" if typical.is_mass_centred else "centred")
    framed_HW = np.zeros(frame, dtype=np.float32)
    framed_HW[at_y : at_y + rows, at_x : at_x + columns] = scaled_HW
    return framed_HW


def _framed(
    picture: Float32, frame: tuple[int, int], full_size: tuple[int, int], is_padded: bool, steps: list[str]
) -> Float32:
    """The whole picture in the frame: padded in its border's colour, or cut to the frame's proportions."""
    (height, width), (rows, columns) = frame, picture.shape[:2]
    factor = full_size[0] / columns
    if (rows, columns) == frame:
        return picture
    if is_padded:
        scale = min(width / columns, height / rows)
        size = max(1, round(columns * scale)), max(1, round(rows * scale))
        steps.append(
            f"scaled from {full_size[0]} x {full_size[1]} to {size[0]} x {size[1]} in a frame of {width} x {height}"
        )
        channels = picture.reshape(rows, columns, -1)
        ground_C = np.array([_ground(channels[..., channel]) for channel in range(channels.shape[2])], np.float32)
        framed = np.broadcast_to(ground_C, (*frame, len(ground_C))).copy()
        at_x, at_y = (width - size[0]) // 2, (height - size[1]) // 2
        framed[at_y : at_y + size[1], at_x : at_x + size[0]] = _resized(picture, size).reshape(size[1], size[0], -1)
        if size != (width, height):
            steps.append("padded with the colour of its border")
        return framed.reshape(*frame, *picture.shape[2:])
    scale = max(width / columns, height / rows)
    cut_width, cut_height = width / scale, height / scale
    if cut_width < columns - 0.5 or cut_height < rows - 0.5:
        steps.append(f"cut to its middle {round(cut_width * factor)} x {round(cut_height * factor)} pixels")
    steps.append(f"scaled to {width} x {height}")
    left, top = (columns - cut_width) / 2, (rows - cut_height) / 2
    return _resized(picture, (width, height), (left, top, left + cut_width, top + cut_height))


def _resized(picture: Float32, size: tuple[int, int], box: tuple[float, float, float, float] | None = None) -> Float32:
    """Resampled with antialiasing (Lanczos) to `size` = (width, height)."""
    channels = picture[..., None] if picture.ndim == 2 else picture
    resized = [
        np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.LANCZOS, box))
        for channel in np.ascontiguousarray(np.moveaxis(channels, -1, 0))
    ]
    return resized[0] if picture.ndim == 2 else np.stack(resized, axis=-1)


def _border(grey_HW: NDArray[Any], depth: int) -> NDArray[Any]:
    if min(grey_HW.shape) <= 2 * depth:
        return grey_HW.ravel()
    sides = grey_HW[:depth], grey_HW[-depth:], grey_HW[depth:-depth, :depth], grey_HW[depth:-depth, -depth:]
    return np.concatenate([side.ravel() for side in sides])


def _ground(grey_HW: Float32) -> float:
    return float(np.median(_border(grey_HW, 1 + max(grey_HW.shape) // 200)))


def _noise(grey_HW: Float32, ground: float) -> float:
    """The standard deviation of the ground, estimated so that ink at the border does not count."""
    return 1.4826 * float(np.median(np.abs(_border(grey_HW, 1 + max(grey_HW.shape) // 200) - ground)))


def _strongest(ink_HW: Float32) -> float:
    """The strength of the strongest ink, as the mean of a few pixels: one bad pixel is no ink."""
    num = min(max(4, ink_HW.size // 2000), ink_HW.size)
    return float(np.partition(ink_HW.ravel(), -num)[-num:].mean())


def _is_ink_lighter(grey_HW: Float32) -> bool | None:
    """Whether what stands out is lighter than the ground; None where nothing stands out."""
    difference_HW = grey_HW - _ground(grey_HW)
    strongest = _strongest(np.abs(difference_HW))
    if strongest < _LEAST_INK:
        return None
    return bool(difference_HW[np.abs(difference_HW) > 0.25 * strongest].sum() >= 0)


def _box(is_ink_HW: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom (exclusive) of what is true; everything where nothing is."""
    rows, columns = np.flatnonzero(is_ink_HW.any(1)), np.flatnonzero(is_ink_HW.any(0))
    if not len(rows):
        return 0, 0, is_ink_HW.shape[1], is_ink_HW.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _centre_of_mass(weight_HW: Float32) -> tuple[float, float]:
    total = float(weight_HW.sum())
    rows, columns = weight_HW.shape
    if total <= 0:
        return (columns - 1) / 2, (rows - 1) / 2
    return float(weight_HW.sum(0) @ np.arange(columns)) / total, float(weight_HW.sum(1) @ np.arange(rows)) / total
