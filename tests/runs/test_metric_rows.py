from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.runs.metric_files import metric_lines
from vae_explorer.errors import FileError
from vae_explorer.runs.metric_rows import MetricHeader, MetricRows, only_split

PATH = Path("metrics.csv")
NUMBERS = st.floats() | st.integers(-(10**17), 10**17)
FORMATS = st.sampled_from([".7g", ".17g", ".15g", ".3f", ".12f", ".0f", "e"])
ODD_CELLS = (
    *("", "-", ".", "-.", ".5", "-.5", "5.", "1..2", "1.2.3", "--1", "1-2", "+1", "/", ":", ";", "1:2", "0x10", "1 2"),
    *("1e-05", "-3.5e-07", "1.e-05", ".1e-05", "e-05", "1e-0x", "1e 05", "1E-05", "9.999999e+13", "1e+22", "1e+30"),
    *("nan", "inf", "-inf", "NaN", "\x00", "é", "1\r", "00012", "-0", "123456789e-05", "1e308", "1e999", "1_000"),
)
CELL = st.builds(format, NUMBERS, FORMATS) | st.sampled_from(ODD_CELLS) | st.text("0123456789.-e", max_size=18)
UNLIKE_CELLS = st.lists(CELL, min_size=1, max_size=60)
ALIKE_CELLS = st.builds(lambda cell, num: [cell] * num, CELL, st.integers(2, 5))


@given(UNLIKE_CELLS | ALIKE_CELLS)
@example(["8.286628e+14", "199.9936", "-0.000999999"])
def test_every_cell_is_the_number_that_python_reads(cells: list[str]) -> None:
    content = "".join(f"train,{cell},{cell}\n" for cell in cells).encode()
    rows = MetricRows(MetricHeader(b"split,a,b", PATH), content)
    values_CN, wrong = rows.values(["a", "b"])
    for number, cell in enumerate(cells):
        try:
            expected, is_wrong = float(cell.encode() or b"nan"), False
        except ValueError:
            expected, is_wrong = math.nan, True
        for found in values_CN[:, number]:
            assert found == expected or (math.isnan(found) and math.isnan(expected)), (cell, found)
            assert math.isnan(expected) or math.copysign(1, found) == math.copysign(1, expected), cell
        assert is_wrong == (number in wrong), cell


def test_rows_are_what_a_csv_reader_says() -> None:
    lines = metric_lines(700)
    expected = list(csv.DictReader(io.StringIO("".join(lines))))
    header = MetricHeader(lines[0].rstrip().encode(), PATH)
    rows = MetricRows(header, "".join(lines[1:]).encode())
    assert len(rows) == 700
    assert rows.damaged == ()
    splits = rows.splits()
    assert {name: len(index) for name, index in splits.items()} == {"train": 686, "heldout": 14}
    for split, index in splits.items():
        assert all(expected[row]["split"] == split for row in index)
        values_CN, wrong = rows.values([*header.axes, *header.curves], index)
        assert len(wrong) == 0
        for name, values in zip([*header.axes, *header.curves], values_CN, strict=True):
            wanted = [float(expected[row][name] or "nan") for row in index]
            np.testing.assert_array_equal(values, wanted)


def test_single_rows_can_be_asked_for() -> None:
    lines = metric_lines(100)
    header = MetricHeader(lines[0].rstrip().encode(), PATH)
    rows = MetricRows(header, "".join(lines[1:]).encode())
    values_CN, _ = rows.values(["step", "kl"], np.array([0, 98]))
    assert values_CN[0].tolist() == [12, 12 + 12 * 98]
    np.testing.assert_array_equal(values_CN, rows.values(["step", "kl"])[0][:, [0, 98]])


@pytest.mark.parametrize("line", ["1,2\n", ",\n", "\n", "a,b,c,d\n", "1,train,2,3\n", "\x00\n", "1,train\n,2\n"])
def test_lines_of_another_shape_are_left_out_and_named(line: str) -> None:
    content = f"1,train,2\n{line}3,heldout,\n5,train,6\n".encode()
    rows = MetricRows(MetricHeader(b"step,split,kl", PATH), content)
    assert rows.damaged == tuple(range(1, 1 + line.count("\n")))
    assert rows.values(["step"])[0].tolist() == [[1, 3, 5]]
    assert {name: index.tolist() for name, index in rows.splits().items()} == {"train": [0, 2], "heldout": [1]}


def test_no_lines_are_no_rows() -> None:
    rows = MetricRows(MetricHeader(b"split,a", PATH), b"")
    assert len(rows) == 0
    assert rows.splits() == {}
    assert rows.values(["a"])[0].shape == (1, 0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"step,kl", "no column 'split'"),
        (b"\xff\xfe,split", "not text in UTF-8"),
        (b"split,kl,kl", "two of one name"),
        (b"split," + b",".join(b"%d" % i for i in range(300)), "too many columns"),
    ],
)
def test_a_header_of_something_else_is_refused(line: bytes, words: str) -> None:
    with pytest.raises(FileError, match=words):
        MetricHeader(line, PATH)


def test_the_lines_of_a_split_are_found() -> None:
    lines = metric_lines(500)
    content = "".join(lines).encode()
    assert only_split(content, "heldout").decode() == "".join(line for line in lines if ",heldout," in line)
    assert only_split(content, "test") == b""
    assert only_split(b"1,heldout,2\n3,heldout,4\n", "heldout") == b"1,heldout,2\n3,heldout,4\n"
