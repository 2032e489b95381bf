from __future__ import annotations

import os
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.runs.metric_files import HEADER, metric_lines
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.errors import FileError
from vae_explorer.runs import growing_file
from vae_explorer.runs.history import read_metrics
from vae_explorer.runs.metric_curves import MetricCurves


def write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(lines), encoding="utf-8")


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def read_whole(path: Path, most_stretches: int = 2048) -> MetricCurves:
    curves = MetricCurves(path, most_stretches=most_stretches)
    while curves.read():
        pass
    return curves


def assert_alike(one: MetricCurves, other: MetricCurves) -> None:
    assert one.splits == other.splits
    assert one.num_rows == other.num_rows
    for split in one.splits:
        assert one.names(split) == other.names(split)
        for name in one.names(split):
            a, b = one.curve(split, name, "step"), other.curve(split, name, "step")
            for field in ("x_S", "low_S", "high_S", "count_S"):
                np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
            np.testing.assert_allclose(a.mean_S, b.mean_S, rtol=1e-12)


def test_a_short_run_is_read_point_by_point(tmp_path: Path) -> None:
    run, _ = train_tiny(tmp_path / "run", tiny_config(epochs=5))
    rows = read_metrics(run)
    curves = read_whole(run.metrics_file)
    assert set(curves.splits) == {"train", "heldout"}
    for split in curves.splits:
        of_split = rows.of(split)
        for axis in ("step", "images_seen", "seconds", "epoch"):
            curve = curves.curve(split, "elbo", axis)
            np.testing.assert_array_equal(curve.x_S, of_split[axis])
            for values in (curve.low_S, curve.high_S, curve.mean_S):
                np.testing.assert_array_equal(values, of_split["elbo"])
    assert "learning_rate" in curves.names("train")
    assert "learning_rate" not in curves.names("heldout"), "its cells are empty there"
    assert len(curves.curve("train", "no such column", "step")) == 0
    assert len(curves.curve("test", "elbo", "step")) == 0


@pytest.mark.parametrize("num_rows", [63, 64, 65, 127, 128, 129, 1000, 4096, 5001])
def test_a_long_run_keeps_the_extremes_of_every_stretch(tmp_path: Path, num_rows: int) -> None:
    path = tmp_path / "metrics.csv"
    lines = [HEADER]
    random_values = np.random.default_rng(num_rows).normal(size=num_rows)
    for row, value in enumerate(random_values):
        lines.append(f"{row + 1},0,{row + 1},0,train,{value:.17g},,,,,,,,,,\n")
    write(path, lines)
    curves = read_whole(path, most_stretches=64)
    curve = curves.curve("train", "elbo", "step")
    width = -(-num_rows // 64)
    width = 1 << (width - 1).bit_length()
    assert min(num_rows, 32) <= len(curve) <= 64
    assert len(curve) == -(-num_rows // width)
    for at in range(len(curve)):
        stretch = random_values[at * width : (at + 1) * width]
        assert curve.low_S[at] == stretch.min()
        assert curve.high_S[at] == stretch.max()
        assert curve.mean_S[at] == pytest.approx(stretch.mean(), rel=1e-9, abs=1e-12)
        assert curve.count_S[at] == len(stretch)
        assert curve.x_S[at] == min((at + 1) * width, num_rows)


def test_reading_on_gives_what_reading_at_once_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_file, "BLOCK_BYTES", 3000)
    path, chance = tmp_path / "metrics.csv", random.Random(3)
    text = "".join(metric_lines(2500)).encode()
    growing, at = MetricCurves(path, most_stretches=128), 0
    assert growing.read() is False, "nothing is there yet"
    assert growing.splits == ()
    while at < len(text):
        # Torn anywhere, also within a number.
        at_end = min(len(text), at + chance.choice([1, 7, 150, 20_000]))
        with path.open("ab") as file:
            file.write(text[at:at_end])
        at = at_end
        growing.read()
        whole = text[:at].count(b"\n")
        assert growing.num_rows == max(0, whole - 1)
    assert growing.num_damaged == 0
    assert_alike(growing, read_whole(path, 128))


@pytest.mark.parametrize("name", ["elbo", "learning_rate", "active_units", "no such column"])
def test_a_single_curve_is_what_it_is_among_all(tmp_path: Path, name: str) -> None:
    path = tmp_path / "metrics.csv"
    write(path, metric_lines(700))
    one, whole = MetricCurves(path, only=name, most_stretches=64), read_whole(path, 64)
    one.read()
    assert one.columns == whole.columns
    assert {"elbo", "gradient_norm"} <= set(one.columns)
    assert one.end("step") == whole.end("step") == 12 * 700
    for split in ("train", "heldout"):
        assert set(one.names(split)) == {name} & set(whole.names(split))
        a, b = one.curve(split, name, "seconds"), whole.curve(split, name, "seconds")
        for field in ("x_S", "low_S", "high_S", "mean_S", "count_S"):
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    assert len(one.curve("train", "kl", "step")) == 0


def test_an_axis_without_rows_ends_at_zero(tmp_path: Path) -> None:
    assert MetricCurves(tmp_path / "metrics.csv").end("step") == 0
    write(tmp_path / "metrics.csv", ["split,elbo\n", "train,1\n"])
    assert read_whole(tmp_path / "metrics.csv").end("step") == 0


def test_only_what_was_added_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.csv"
    lines = metric_lines(3000)
    write(path, lines[:2900])
    curves = MetricCurves(path)
    curves.read()
    append(path, "".join(lines[2900:]))
    taken: list[bytes] = []
    take = curves._take
    monkeypatch.setattr(curves, "_take", lambda rows: (taken.append(rows._content), take(rows)))
    curves.read()
    assert b"".join(taken).decode() == "".join(lines[2900:])
    curves.read()
    assert len(taken) == 1, "an unchanged file is not opened"


def test_a_rewritten_file_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    write(path, metric_lines(500, seed=1))
    curves = MetricCurves(path)
    curves.read()
    write(path, metric_lines(800, seed=2))  # longer than before, so its size does not tell
    curves.read()
    assert_alike(curves, read_whole(path))


@pytest.mark.parametrize("num_left", [0, 1, 2, 300])
def test_a_file_that_was_cut_starts_anew(tmp_path: Path, num_left: int) -> None:
    path = tmp_path / "metrics.csv"
    lines = metric_lines(500)
    write(path, lines)
    curves = MetricCurves(path)
    curves.read()
    write(path, [*lines[:num_left], lines[-1][:9]])
    curves.read()
    assert_alike(curves, read_whole(path))
    write(path, lines)
    curves.read()
    assert_alike(curves, read_whole(path))


def test_a_copy_brought_whole_by_another_program_is_read_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, lines = tmp_path / "metrics.csv", metric_lines(900)
    write(path, lines[:600])
    curves = MetricCurves(path)
    curves.read()
    write(tmp_path / "copy", lines)
    (tmp_path / "copy").replace(path)
    monkeypatch.setattr(curves, "_start_anew", lambda: pytest.fail("the file is the same, under another number"))
    curves.read()
    assert_alike(curves, read_whole(path))


def test_a_file_that_vanished_is_told_and_what_was_read_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    write(path, metric_lines(100))
    curves = MetricCurves(path)
    curves.read()
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(FileError, match=r"metrics\.csv is gone\."):
        curves.read()
    assert curves.num_rows == 100
    path.write_bytes(content)
    curves.read()
    assert curves.num_rows == 100


def test_damaged_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    path, lines = tmp_path / "metrics.csv", metric_lines(200)
    broken = [*lines[:60], "1,2,3\n", *lines[60:120], lines[120].replace("train", "train,x"), *lines[121:]]
    broken[10] = broken[10].replace("train,-", "train,x")
    write(path, broken)
    curves = MetricCurves(path)
    curves.read()
    assert (curves.num_rows, curves.num_damaged) == (199, 3)
    assert np.isnan(curves.curve("train", "elbo", "step").mean_S).sum() == 1


def test_rows_of_too_many_splits_are_no_rows_of_a_run(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    write(path, ["step,split\n", *(f"{row},split {row}\n" for row in range(20))])
    curves = read_whole(path)
    assert len(curves.splits) == 4
    assert curves.num_damaged == 16


def test_what_is_not_finite_is_no_extreme(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    values = ["1", "inf", "nan", "-inf", "", "3", "nan", "inf"]
    write(path, [HEADER, *(f"{n},0,{n},0,train,{v},,,,,,,,,,\n" for n, v in enumerate(values))])
    curve = read_whole(path, most_stretches=2).curve("train", "elbo", "step")
    assert (curve.low_S.tolist(), curve.high_S.tolist(), curve.count_S.tolist()) == ([1, 3], [1, 3], [1, 1])
    assert curve.mean_S.tolist() == [1, 3]


def test_enormous_values_are_drawn_where_they_can_be(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    values = ["1e308", "1.5e308", "1e308", "-1e308", "1", "2", "3", "4"]
    write(path, [HEADER, *(f"{n},0,{n},0,train,{v},,,,,,,,,,\n" for n, v in enumerate(values))])
    curve = read_whole(path, most_stretches=2).curve("train", "elbo", "step")
    assert (curve.low_S.tolist(), curve.high_S.tolist()) == ([-1e308, 1], [1.5e308, 4])
    assert not np.isfinite(curve.mean_S[0])
    assert curve.mean_S[1] == 2.5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"step,kl\n1,2\n", "no column 'split'"),
        (b"\xff\xfe\n", "not text in UTF-8"),
        (b"x" * 2_000_000, "a line of more than"),
    ],
)
def test_something_else_is_refused_each_time(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    curves = MetricCurves(path)
    for _ in range(2):
        with pytest.raises(FileError, match=words):
            curves.read()
        os.utime(path)


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.csv")
    with pytest.raises(FileError, match="not a plain file"):
        MetricCurves(tmp_path / "metrics.csv").read()


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_file, "BLOCK_BYTES", 65_536)
    path, lines = tmp_path / "metrics.csv", metric_lines(2000)
    write(path, lines)
    for _ in range(20):
        append(path, "".join(lines[1:]))
    curves = MetricCurves(path, most_stretches=256)
    tracemalloc.start()
    try:
        curves.read(1)  # the first block brings what every block takes
        tracemalloc.reset_peak()
        first = tracemalloc.get_traced_memory()[0]
        while curves.read(200_000):
            pass
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert curves.num_rows == 21 * 2000
    assert held - first < 300_000
    assert peak < 4_000_000 < path.stat().st_size
