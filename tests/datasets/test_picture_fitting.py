"""A person's own picture: whatever its disguise, it comes out as one of the set; no file of any kind is a surprise."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from vae_explorer.datasets import picture_reading
from vae_explorer.datasets.mnist import load_mnist
from vae_explorer.datasets.picture_fitting import FittedPicture, TypicalPicture, fit_picture, typical_of
from vae_explorer.datasets.picture_reading import ReadPicture, decode_picture, read_picture
from vae_explorer.errors import FileError, UserError

MNIST_LIKE = TypicalPicture(0.0, True, True, 20.0, (14.0, 14.0), True)


def seven(side: int = 280) -> np.ndarray:
    """A seven with a soft pen, light on dark, uint8 (side, side)."""
    image = Image.new("L", (4 * side, 4 * side), 0)
    unit = 4 * side / 28
    points = [(7 * unit, 6 * unit), (20 * unit, 6 * unit), (12 * unit, 23 * unit)]
    ImageDraw.Draw(image).line(points, fill=255, width=round(2.6 * unit), joint="curve")
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))


def fit(pixels: np.ndarray, **choices: object) -> FittedPicture:
    return fit_picture(pixels, (1, 28, 28), MNIST_LIKE, **choices)  # type: ignore[arg-type]


def enlarged(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((1260, 1260), Image.Resampling.BICUBIC))


def off_centre(pixels: np.ndarray) -> np.ndarray:
    return np.pad(pixels, ((30, 400), (500, 7)))


def coloured(pixels: np.ndarray) -> np.ndarray:
    """Red on green of the same brightness: nothing is seen in the luma alone."""
    ink = pixels[..., None] / 255.0
    return (ink * [200, 40, 60] + (1 - ink) * [20, 135, 50]).round().astype(np.uint8)


def transparent(pixels: np.ndarray, level: int) -> np.ndarray:
    return np.dstack([np.full((*pixels.shape, 3), level, np.uint8), pixels])


def on_grey_paper(pixels: np.ndarray) -> np.ndarray:
    random = np.random.RandomState(1)
    paper = 190 - pixels.astype(float) * 0.5 + random.normal(0, 2, pixels.shape)
    return paper.round().clip(0, 255).astype(np.uint8)


DISGUISES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str, bool]] = {
    "inverted": (lambda p: 255 - p, "inverted: dark on light became light on dark", True),
    "large": (enlarged, "in a frame of 28 x 28", False),
    "off-centre": (off_centre, "cropped to the ink", False),
    "coloured": (coloured, "by the difference from the ground's colour", False),
    "blue on white": (lambda p: np.dstack([255 - p, 255 - p, np.full_like(p, 255)]), "turned grey", True),
    "faint": (lambda p: (p.astype(float) * 0.1 + 100).astype(np.uint8), "contrast stretched", False),
    "black over nothing": (lambda p: transparent(p, 0), "what is transparent became white", True),
    "white over nothing": (lambda p: transparent(p, 255), "what is transparent became black", False),
    "on grey paper": (on_grey_paper, "contrast stretched", True),
}


@pytest.mark.parametrize("name", DISGUISES)
def test_a_digit_is_the_same_in_every_disguise(name: str) -> None:
    disguise, told, is_inverted = DISGUISES[name]
    plain, fitted = fit(seven()), fit(disguise(seven()))
    assert fitted.pixels.shape == (1, 28, 28)
    assert fitted.pixels.dtype == np.uint8
    assert np.abs(fitted.pixels.astype(float) - plain.pixels).mean() < 3
    assert any(told in step for step in fitted.steps), fitted.steps
    assert fitted.is_inverted is is_inverted


def test_a_drawn_digit_stands_as_those_of_mnist_do() -> None:
    pixels = fit(seven()).pixels[0].astype(float)
    rows, columns = np.flatnonzero((pixels > 25).any(1)), np.flatnonzero((pixels > 25).any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(20, abs=1)
    assert (pixels.sum(0) @ np.arange(28)) / pixels.sum() == pytest.approx(14, abs=0.51)
    assert (pixels.sum(1) @ np.arange(28)) / pixels.sum() == pytest.approx(14, abs=0.51)
    assert pixels[0].max() == 0
    assert pixels.max() > 230


def test_mnist_is_measured_and_its_own_digits_come_through_unchanged() -> None:
    digits_NCHW = load_mnist("test").images_NCHW[:300]
    typical = typical_of(digits_NCHW)
    assert typical is not None
    assert (typical.ground, typical.is_plain, typical.is_ink_lighter) == (0.0, True, True)
    assert typical.content_side == 20
    assert typical.is_mass_centred
    assert typical.centre == pytest.approx((14, 14), abs=0.2)
    fitted = [fit_picture(digit_CHW[0], (1, 28, 28), typical) for digit_CHW in digits_NCHW[:60]]
    unchanged = [np.array_equal(one.pixels, digit) for one, digit in zip(fitted, digits_NCHW, strict=False)]
    assert np.mean(unchanged) > 0.95
    assert fitted[0].steps == ("taken as it is",)


def test_a_set_of_dark_ink_on_light_is_met_the_other_way_round() -> None:
    typical = typical_of(255 - load_mnist("test").images_NCHW[:100])
    assert typical is not None
    assert not typical.is_ink_lighter
    fitted = fit_picture(seven(), (1, 28, 28), typical)
    assert fitted.is_inverted
    assert np.abs(255.0 - fitted.pixels - fit(seven()).pixels).mean() < 3


def test_inversion_is_the_persons_to_choose() -> None:
    dark_on_light = 255 - seven()
    kept, forced = fit(dark_on_light, invert=False), fit(dark_on_light, invert=True)
    assert not kept.is_inverted
    assert np.array_equal(kept.pixels, 255 - forced.pixels)
    assert forced.pixels[0, 0, 0] == 0


def test_the_first_dot_of_a_drawing_is_still_a_dot() -> None:
    canvas = np.zeros((280, 280), np.uint8)
    canvas[100:120, 50:70] = 255
    whole, dot = fit(canvas).pixels, fit(canvas, least_share=0.4).pixels
    assert (whole > 128).sum() == 400
    assert (dot > 128).sum() == pytest.approx((20 * 20 / 112) ** 2, abs=6)


@pytest.mark.parametrize("level", [0, 127, 255])
def test_an_empty_sheet_is_an_empty_frame(level: int) -> None:
    fitted = fit(np.full((40, 60), level, np.uint8))
    assert not fitted.pixels.any()
    assert fitted.steps == ("nothing stands out from the ground",)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 20, 48), (1, 40, 17), (4, 16, 16)])
@pytest.mark.parametrize("pixels", [(1, 1), (1, 64), (3, 2, 3), (5, 5, 4), (2500, 60), (7, 9)])
@pytest.mark.parametrize("typical", [None, MNIST_LIKE, TypicalPicture(90.0, False, True, 12.0, (8.0, 8.0), False)])
def test_every_shape_fits_every_frame(
    shape: tuple[int, int, int], pixels: tuple[int, ...], typical: TypicalPicture | None
) -> None:
    random = np.random.RandomState(0).randint(0, 256, size=pixels).astype(np.uint8)
    fitted = fit_picture(random, shape, typical)
    assert fitted.pixels.shape == shape
    assert fitted.steps


def test_photos_are_cut_to_the_middle_and_coloured_sets_keep_colour() -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[:, :50], picture[:, 50:150], picture[:, 150:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    cut = fit_picture(picture, (3, 32, 32), None)
    assert np.abs(cut.pixels.astype(int) - np.array([0, 255, 0])[:, None, None]).max() <= 60
    assert "cut to its middle 100 x 100 pixels" in cut.steps
    padded = fit_picture(picture, (3, 32, 32), MNIST_LIKE, invert=False)
    assert padded.pixels[:, 16, 2].tolist() == [255, 0, 0]
    assert any("padded" in step for step in padded.steps)


def test_photos_are_no_set_on_a_plain_ground() -> None:
    noise_NCHW = np.random.RandomState(3).randint(0, 256, size=(50, 3, 16, 16)).astype(np.uint8)
    typical = typical_of(noise_NCHW)
    assert typical is not None
    assert not typical.is_plain
    assert typical_of(np.zeros((0, 1, 8, 8), np.uint8)) is None
    empty = typical_of(np.zeros((3, 1, 8, 8), np.uint8))
    assert empty is not None
    assert fit_picture(seven(), (1, 8, 8), empty).pixels.any()


def saved(path: Path, image: Image.Image, **how: object) -> ReadPicture:
    image.save(path, **how)
    return read_picture(path)


def test_every_kind_of_picture_is_read(tmp_path: Path) -> None:
    grey = Image.fromarray(seven(60))
    wanted = seven(60).astype(float)
    assert np.array_equal(saved(tmp_path / "grey.png", grey).pixels, seven(60))
    assert saved(tmp_path / "palette.gif", grey.convert("P")).pixels.shape == (60, 60, 3)
    cmyk = saved(tmp_path / "cmyk.jpg", grey.convert("RGB").convert("CMYK"))
    assert "CMYK turned to red, green and blue" in cmyk.notes
    assert np.abs(cmyk.pixels.mean(2) - wanted).mean() < 6
    assert saved(tmp_path / "bits.png", grey.convert("1")).pixels.ndim == 2
    deep = saved(tmp_path / "deep.png", Image.fromarray((wanted * 257).astype(np.uint16)))
    assert np.array_equal(deep.pixels, seven(60))
    assert deep.notes == ("16-bit grey levels rounded to 8 bits",)
    floats = saved(tmp_path / "floats.tiff", Image.fromarray((wanted / 255).astype(np.float32)))
    assert np.array_equal(floats.pixels, seven(60))
    alpha = Image.merge("LA", (grey, grey))
    assert saved(tmp_path / "alpha.png", alpha).pixels.shape == (60, 60, 4)
    opaque = Image.merge("LA", (grey, Image.new("L", grey.size, 255)))
    assert saved(tmp_path / "opaque.png", opaque).pixels.shape == (60, 60, 3)


def test_animations_show_their_first_frame_and_cameras_are_turned_upright(tmp_path: Path) -> None:
    first, second = Image.new("L", (20, 10), 30), Image.new("L", (20, 10), 200)
    moving = saved(tmp_path / "moving.gif", first, save_all=True, append_images=[second])
    assert "the first frame of an animation" in moving.notes
    assert abs(int(moving.pixels.max()) - 30) <= 2
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = saved(tmp_path / "camera.jpg", first, exif=exif)
    assert upright.pixels.shape == (20, 10)
    assert "turned upright as its camera noted" in upright.notes


def test_files_that_are_no_pictures_are_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    Image.fromarray(seven(60)).save(content, "png")
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "short.png").write_bytes(content.getvalue()[:200])
    (tmp_path / "empty.png").touch()
    Image.new("1", (9000, 8000)).save(tmp_path / "giant.png")
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
    Image.new("L", (650, 10)).save(tmp_path / "thin.png")
    os.mkfifo(tmp_path / "pipe.png")
    told = {
        "text.png": "not a picture of a kind", "short.png": "damaged", "empty.png": "is empty",
        "giant.png": "more than 64 million pixels", "bomb.png": "more than 64 million pixels",
        "thin.png": "too long and thin", "pipe.png": "not an ordinary file", "missing.png": "cannot be read",
        ".": "is a folder", "a\0b": "cannot be that of a file",
    }  # fmt: skip
    for name, words in told.items():
        with pytest.raises(FileError, match=words) as caught:
            read_picture(tmp_path / name)
        assert caught.value.hint.endswith(".")
    monkeypatch.setattr(picture_reading, "MOST_BYTES", 100)
    (tmp_path / "heavy.png").write_bytes(content.getvalue())
    with pytest.raises(FileError, match="at most"):
        read_picture(tmp_path / "heavy.png")


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "tiff", "bmp"])
def test_damaged_bytes_raise_nothing_else(kind: str) -> None:
    content = io.BytesIO()
    Image.fromarray(seven(40)).save(content, kind)
    good = content.getvalue()
    random = np.random.RandomState(11)
    for _ in range(100):
        bad = bytearray(good)
        for position in random.randint(0, len(bad), size=random.randint(1, 6)):
            bad[position] = random.randint(0, 256)
        if random.rand() < 0.3:
            del bad[random.randint(1, len(bad)) :]
        try:
            picture = decode_picture(bytes(bad), Path("bad.png"))
        except UserError as error:
            assert "bad.png" in error.message
        else:
            assert fit(picture.pixels).pixels.shape == (1, 28, 28)
