from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from vae_explorer.errors import FileError
from vae_explorer.export.item_lists import item_list, items_csv, items_text

LABELS = np.array([2, 0, 1, 0, 5])
NAMES = ("across", "down", 'a "square", open')
IDS = np.array([4, 0, 3])


def test_csv_has_each_item_with_its_class_in_ascending_order() -> None:
    rows = list(csv.reader(io.StringIO(items_csv(IDS, LABELS, NAMES))))
    assert rows == [
        ["item", "label", "class"], ["0", "2", 'a "square", open'], ["3", "0", "across"], ["4", "5", ""],
    ]  # fmt: skip


def test_without_labels_there_is_no_empty_column() -> None:
    assert items_csv(IDS) == "item\n0\n3\n4\n"


def test_file_names_are_told_where_they_are_known() -> None:
    files = [f"{number}, side.png" for number in range(5)]
    rows = list(csv.reader(io.StringIO(items_csv(IDS, None, (), files))))
    assert rows == [["item", "file"], ["0", "0, side.png"], ["3", "3, side.png"], ["4", "4, side.png"]]


def test_ids_of_other_images_are_left_out() -> None:
    assert items_csv(np.array([-1, 1, 99]), LABELS, NAMES) == "item,label,class\n1,0,across\n"


def test_plain_text_has_one_index_a_line() -> None:
    assert items_text(IDS) == "0\n3\n4\n"
    assert items_text(np.empty(0, dtype=np.int64)) == ""


def test_the_name_decides_the_format() -> None:
    assert item_list(Path("few.TXT"), IDS) == items_text(IDS)
    assert item_list(Path("few.csv"), IDS, LABELS, NAMES) == items_csv(IDS, LABELS, NAMES)
    with pytest.raises(FileError) as caught:
        item_list(Path("few.xlsx"), IDS)
    assert ".csv or .txt" in caught.value.hint
