"""The rows of metrics.csv as numbers, fast: a run of a day has a million of them.

Cells are numbers as the recorder writes them, `-199.9936` or `0.000999999`. Reading them one by one would take many
seconds; here all cells of a block are read at once, eight characters to a machine word. What has another form (an
exponent, `nan`, blanks) goes through `float`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vae_explorer.errors import FileError

Floats = NDArray[np.float64]
Whole = NDArray[np.intp]
Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]

SPLIT = "split"
AXES = ("images_seen", "step", "seconds", "epoch")
"""Columns that say where a row stands; all others are curves."""

_MOST_COLUMNS = 64
_NOT_OURS = "It was not written by VAE Explorer."

_PAD = b"\n" * 16  # so that the sixteen characters before the end of any cell can be loaded
_SHORT = 8  # characters of one word
_MOST_DIGITS, _MOST_POWER = 15, 22  # what a float64 holds exactly: so many digits, and ten to that power
_EXPONENT = 4  # characters of e-05
_CELLS_AT_ONCE = 16_384
_COMMA, _LINE_END, _MINUS = b",\n-"


def _word(byte: int) -> np.uint64:
    return np.uint64(byte * 0x0101010101010101)


_ZEROS, _DOTS, _ONES, _TOPS, _ABOVE_NINE = _word(0x30), _word(0x1E), _word(0x01), _word(0x80), _word(0x76)
_BYTE, _0, _1, _7, _8, _16, _32, _56, _60 = (np.uint64(number) for number in (0xFF, 0, 1, 7, 8, 16, 32, 56, 60))
_10, _PAIRS, _HUNDRED_MILLION = np.uint64(10), np.uint64(0x000000FF000000FF), np.uint64(10**8)
_HUNDREDS, _TEN_THOUSANDS = np.uint64(0x000F424000000064), np.uint64(0x0000271000000001)
# Where in its word the dot stands, from a single bit at that place: the top four bits of the product.
_PLACES = np.uint64(sum((place + 1) << (60 - 8 * place) for place in range(8)))
_SCALES = np.array([1.0, *(10.0 ** (7 - place) for place in range(8))])
_POWERS = np.array([float(f"1e{power}") for power in range(_MOST_POWER + 1)])
_KEPT = np.array([0, *((2**64 - 1) ^ ((1 << (64 - 8 * length)) - 1) for length in range(1, 9))], dtype=np.uint64)


class MetricHeader:
    """The names in the first line of a metrics.csv. Raises FileError where they are not those of one."""

    def __init__(self, line: bytes, path: Path) -> None:
        try:
            self.names = tuple(line.decode("utf-8").rstrip("\r\n").split(","))
        except UnicodeDecodeError as error:
            hint = "It was altered or damaged after it was written."
            raise FileError(path, f"{path} is not text in UTF-8.", hint) from error
        if SPLIT not in self.names:
            raise FileError(path, f"{path} has no column '{SPLIT}'.", _NOT_OURS)
        if len(self.names) > _MOST_COLUMNS or len(set(self.names)) < len(self.names):
            raise FileError(path, f"{path} has too many columns, or two of one name.", _NOT_OURS)
        self._places = {name: place for place, name in enumerate(self.names)}
        self.curves = tuple(name for name in self.names if name != SPLIT and name not in AXES)
        self.axes = tuple(name for name in AXES if name in self.names)

    def __len__(self) -> int:
        return len(self.names)

    def numbers(self, line: bytes, names: Sequence[str]) -> tuple[float, ...] | None:
        """The cells of those columns in a single line, nan where they are none; None where the line is none of ours."""
        cells = line.split(b",")
        if len(cells) != len(self.names):
            return None
        return tuple(_number(cells[self._places[name]]) for name in names)

    def row(self, line: bytes) -> dict[str, float]:
        """All finite numbers of a single line; empty where it is none of ours."""
        names = (*self.axes, *self.curves)
        numbers = self.numbers(line, names) or ()
        return {name: number for name, number in zip(names, numbers, strict=False) if math.isfinite(number)}


def _number(cell: bytes) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


class MetricRows:
    """Whole lines of a metrics.csv; cells become numbers when they are asked for.

    Lines with another number of cells than the header are left out and counted, from 0, in `damaged`.
    """

    def __init__(self, header: MetricHeader, content: bytes) -> None:
        self.header = header
        self.damaged: tuple[int, ...] = ()
        cell_ends = _cell_ends(content)
        if not _is_regular(content, cell_ends, len(header)):
            content, self.damaged = _regular_lines(content, len(header))
            cell_ends = _cell_ends(content)
        self._content = content
        self._padded = np.frombuffer(_PAD + content, np.uint8)
        # Column by column, since that is how they are read.
        self._ends_CN = np.ascontiguousarray(cell_ends.reshape(-1, len(header)).T)

    def __len__(self) -> int:
        return len(self._ends_CN[0])

    def splits(self) -> dict[str, Whole]:
        """The rows of each split: `train`, `heldout`, or what else they say."""
        begins, ends = self._places([SPLIT], slice(None))
        words = _words_before(self._padded, ends) & _KEPT[np.minimum(ends - begins, _SHORT)]
        found: dict[str, Whole] = {}
        for word in np.unique(words):
            rows = np.flatnonzero(words == word)
            name = self._content[begins[rows[0]] : ends[rows[0]]]
            found[name.decode("utf-8", errors="replace")] = rows
        return found

    def values(self, names: Sequence[str], rows: slice | Whole = slice(None)) -> tuple[Floats, Whole]:
        """The cells of those columns in those rows, (columns, rows) and nan where empty; and the rows, counted among
        those asked for, in which a cell is no number (nan as well).
        """
        num_rows = len(self._ends_CN[0][rows])
        numbers_CN = np.full((len(names), num_rows), np.nan)
        wrong = [np.empty(0, np.intp)]
        # Few rows are read with all their columns at once, many column by column: arrays stay in the core's cache.
        at_once = max(1, _CELLS_AT_ONCE // max(1, num_rows))
        for first in range(0, len(names), at_once):
            begins, ends = self._places(names[first : first + at_once], rows)
            numbers, no_numbers = _numbers(self._padded, begins, ends)
            part_CN = numbers_CN[first : first + at_once]
            part_CN[:] = numbers.reshape(part_CN.shape)
            wrong.append(no_numbers % max(1, num_rows))
        return numbers_CN, np.unique(np.concatenate(wrong))

    def _places(self, names: Sequence[str], rows: slice | Whole) -> tuple[Whole, Whole]:
        """Begin and end of the cells in the content, column by column."""
        columns = [self.header.names.index(name) for name in names]
        ends = [self._ends_CN[column][rows] for column in columns]
        begins = [self._ends_CN[column - 1][rows] + 1 if column else self._line_begins()[rows] for column in columns]
        return (begins[0], ends[0]) if len(columns) == 1 else (np.concatenate(begins), np.concatenate(ends))

    def _line_begins(self) -> Whole:
        return np.concatenate((np.zeros(1, np.intp), self._ends_CN[-1] + 1))[:-1]


def only_split(content: bytes, split: str) -> bytes:
    """The lines that seem to be of that split, found without reading the others; `MetricRows.splits` says which are."""
    mark = f",{split},".encode()
    lines = []
    place = content.find(mark)
    while place >= 0:
        end = content.find(b"\n", place) + 1
        lines.append(content[content.rfind(b"\n", 0, place) + 1 : end])
        place = content.find(mark, end)
    return b"".join(lines)


def _cell_ends(content: bytes) -> Whole:
    characters = np.frombuffer(content, np.uint8)
    return np.flatnonzero((characters == _COMMA) | (characters == _LINE_END))


def _is_regular(content: bytes, cell_ends: Whole, num_cells: int) -> bool:
    """Whether every line has that many cells."""
    line_ends = cell_ends[num_cells - 1 :: num_cells]
    has_all = len(line_ends) == content.count(b"\n") and len(cell_ends) == num_cells * len(line_ends)
    return has_all and bool((np.frombuffer(content, np.uint8)[line_ends] == _LINE_END).all())


def _regular_lines(content: bytes, num_cells: int) -> tuple[bytes, tuple[int, ...]]:
    lines = content.split(b"\n")[:-1]
    damaged = tuple(number for number, line in enumerate(lines) if line.count(b",") != num_cells - 1)
    return b"".join(line + b"\n" for line in lines if line.count(b",") == num_cells - 1), damaged


def _words_before(padded: NDArray[np.uint8], ends: Whole, distance: int = 0) -> Words:
    """The eight characters that end `distance` before each place, the last of them in the highest byte."""
    begin = len(_PAD) - _SHORT - distance
    words = np.ndarray((len(padded) - begin - _SHORT + 1,), "<u8", padded, offset=begin, strides=(1,))
    found: Words = words[ends]
    return found


def _numbers(padded: NDArray[np.uint8], begins: Whole, ends: Whole) -> tuple[Floats, Whole]:
    """The number in each cell, nan where it is empty, and the places of cells that are not empty and no number."""
    lengths = ends - begins
    is_full = lengths > 0
    if not is_full.all():
        numbers, full = np.full(len(begins), np.nan), np.flatnonzero(is_full)
        if len(full):
            numbers[full], no_numbers = _numbers(padded, begins[full], ends[full])
            full = full[no_numbers]
        return numbers, full
    is_negative = padded[len(_PAD) :][begins] == _MINUS
    lengths -= is_negative
    words = _words_before(padded, ends)
    if len(words) > 1 and _are_alike(words, lengths, is_negative):  # a setting that was never changed
        number, wrong_first = _numbers(padded, begins[:1], ends[:1])
        return np.repeat(number, len(words)), np.arange(len(words) if len(wrong_first) else 0)
    numbers, scale, is_read = _short_decimals(words, lengths)
    for others in (_long_decimals, _decimals_with_exponent):
        left = np.flatnonzero(~is_read)
        if not len(left):
            break
        numbers[left], scale[left], is_read[left] = others(padded, ends[left], lengths[left])
    numbers /= scale
    np.negative(numbers, out=numbers, where=is_negative)
    wrong = []
    for place in np.flatnonzero(~is_read):
        try:
            numbers[place] = float(padded[len(_PAD) + begins[place] : len(_PAD) + ends[place]].tobytes())
        except ValueError:
            numbers[place] = np.nan
            wrong.append(place)
    return numbers, np.array(wrong, np.intp)


def _are_alike(words: Words, lengths: Whole, is_negative: Flags) -> bool:
    length = lengths[0]
    is_same = length <= _SHORT and bool((lengths == length).all()) and bool((is_negative == is_negative[0]).all())
    return is_same and not ((words ^ words[0]) & _KEPT[length]).any()


# Each of the three takes cells without their sign and gives the number that the digits make, a power of ten to divide
# it by, and whether the cell was of this form. Both numbers are exact, so that the quotient is what `float` would give.


def _short_decimals(words: Words, lengths: Whole) -> tuple[Floats, Floats, Flags]:
    """At most eight characters, those that the words end with."""
    word = (words ^ _ZEROS) & _KEPT[np.minimum(lengths, _SHORT)]
    dot = _dot(word)
    digits = _without_dot(word, dot)
    is_read = (_no_digits(digits) == 0) & (lengths <= _SHORT) & (lengths > (dot > 0))
    return _eight_digits(digits).astype(np.float64), _SCALES[(dot * _PLACES) >> _60], is_read


def _long_decimals(padded: NDArray[np.uint8], ends: Whole, lengths: Whole) -> tuple[Floats, Floats, Flags]:
    """Nine to sixteen characters, of which at most fifteen are digits."""
    right = _words_before(padded, ends) ^ _ZEROS
    left = (_words_before(padded, ends, _SHORT) ^ _ZEROS) & _KEPT[np.clip(lengths - _SHORT, 0, _SHORT)]
    right_dot = _dot(right)
    is_right = right_dot > 0
    left_dot = np.where(is_right, _0, _dot(left))
    # What stood before a dot in the right word moves up by one character, the last one of the left word with it.
    right = _without_dot(right, right_dot) | np.where(is_right, left >> _56, _0)
    left = np.where(is_right, left << _8, _without_dot(left, left_dot))
    scale = _SCALES[(right_dot * _PLACES) >> _60]
    scale *= np.where(left_dot > 0, 1e8 * _SCALES[(left_dot * _PLACES) >> _60], 1.0)
    num_digits = lengths - (is_right | (left_dot > 0))
    is_read = ((_no_digits(right) | _no_digits(left)) == 0) & (lengths > _SHORT) & (num_digits <= _MOST_DIGITS)
    whole = _eight_digits(left) * _HUNDRED_MILLION + _eight_digits(right)
    return whole.astype(np.float64), scale, is_read


def _decimals_with_exponent(padded: NDArray[np.uint8], ends: Whole, lengths: Whole) -> tuple[Floats, Floats, Flags]:
    """At most eight characters before an exponent of two digits, as in 1e-05."""
    whole, scale, is_read = _short_decimals(_words_before(padded, ends - _EXPONENT), lengths - _EXPONENT)
    letter, sign, *digits = ((_words_before(padded, ends) >> np.uint64(8 * place)) & _BYTE for place in range(4, 8))
    tens, ones = (digit.astype(np.int64) - ord("0") for digit in digits)
    power = 10 * tens + ones
    is_read &= (lengths > _EXPONENT) & (letter == ord("e")) & ((sign == ord("-")) | (sign == ord("+")))
    is_read &= (tens >= 0) & (tens <= 9) & (ones >= 0) & (ones <= 9) & (power + _SHORT <= _MOST_POWER)
    factor, one = _POWERS[np.where(is_read, power, 0)], np.ones_like(scale)
    larger, smaller = np.maximum(scale, factor), np.minimum(scale, factor)
    is_up = sign == ord("+")
    # A tenth is not exact and ten is: what the digits need not be divided by, they are multiplied by.
    whole *= np.where(is_up & (factor > scale), larger / smaller, one)
    scale = np.where(is_up, np.where(factor > scale, one, larger / smaller), scale * factor)
    return whole, scale, is_read


def _dot(word: Words) -> Words:
    """The lowest bit of the byte that is a dot; 0 without one."""
    differing = word ^ _DOTS
    zeros = (differing - _ONES) & ~differing & _TOPS
    return (zeros & (~zeros + _1)) >> _7


def _without_dot(word: Words, dot: Words) -> Words:
    """The characters before the dot moved up by one in its place."""
    before = np.maximum(dot, _1) - _1
    return (word & ~(before | (dot * _BYTE))) | ((word & before) << _8)


def _no_digits(digits: Words) -> Words:
    """0 where every byte is at most 9."""
    return (digits | (digits + _ABOVE_NINE)) & _TOPS


def _eight_digits(digits: Words) -> Words:
    """The number that eight digits make, the first in the lowest byte: by pairs, then by fours, then all."""
    pairs = digits * _10 + (digits >> _8)
    return ((pairs & _PAIRS) * _HUNDREDS + ((pairs >> _16) & _PAIRS) * _TEN_THOUSANDS) >> _32
