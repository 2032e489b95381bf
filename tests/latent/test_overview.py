from __future__ import annotations

import gc
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from vae_explorer.errors import UserError
from vae_explorer.latent import overview, overview_child
from vae_explorer.latent.overview import (
    MOST_CODES,
    OVERVIEWS,
    OverviewResult,
    OverviewRun,
    OverviewView,
    chosen_items,
    far_distance,
    nearest,
    start_overview,
)
from vae_explorer.latent.views import PRIOR_RECT, Float64, View

needs_packages = pytest.mark.skipif(
    find_spec("umap") is None or find_spec("sklearn") is None,
    reason='the optional extra is not installed: pip install "vae-explorer[umap]"',
)

StartChild = Callable[[Path, str, int], "subprocess.Popen[bytes]"]


@pytest.fixture
def view() -> OverviewView:
    """Every other of 200 items, laid out by a plain linear map."""
    random = np.random.default_rng(0)
    latents_PD = random.normal(size=(100, 6))
    xy_P2 = latents_PD[:, :2] + 0.01 * random.normal(size=(100, 2))
    return OverviewView("UMAP", np.arange(0, 200, 2), xy_P2, latents_PD, 200, far_distance(xy_P2))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, which must be empty when all is over."""
    monkeypatch.setattr(overview.tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def play_child(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the child run these lines of Python instead; FOLDER is argv[1]."""

    def play(code: str) -> None:
        def start(folder: Path, method: str, seed: int) -> subprocess.Popen[bytes]:
            with (folder / "progress.jsonl").open("wb") as progress, (folder / "errors.txt").open("wb") as errors:
                return subprocess.Popen(
                    [sys.executable, "-c", code, str(folder), method, str(seed)],
                    stdin=subprocess.PIPE, stdout=progress, stderr=errors,
                )  # fmt: skip

        monkeypatch.setattr(overview, "_start_child", start)
        monkeypatch.setattr(overview, "find_spec", lambda name: object())

    return play


WRITES_RESULT = """
import sys, numpy as np
codes = np.load(sys.argv[1] + "/codes.npy")
np.save(sys.argv[1] + "/result.npy", codes[:, :2] * 2.0)
np.save(sys.argv[1] + "/far_distance.npy", 0.5)
"""
WAITS = """
import sys
print('{"stage": "Layout", "fraction": 0.25}', flush=True)
print('{"stage": "Lay', end="", flush=True)
sys.stdin.read()
"""


def wait_for(run: OverviewRun, seconds: float = 100.0) -> OverviewResult:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = run.poll()
        if isinstance(answer, OverviewResult):
            return answer
        time.sleep(0.02)
    raise AssertionError("no overview came")


def codes(num_items: int = 300, num_dimensions: int = 5) -> Float64:
    """Three groups far apart."""
    random = np.random.default_rng(0)
    centres = 20.0 * np.eye(3, num_dimensions)
    return random.normal(size=(num_items, num_dimensions)) + centres[np.arange(num_items) % 3]


def test_nearest_agrees_with_sorting_all_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "_BLOCK", 130)
    random = np.random.default_rng(0)
    points_MK, among_PK = random.normal(size=(21, 4)), random.normal(size=(40, 4))
    distance_MP = np.linalg.norm(points_MK[:, None] - among_PK, axis=2)
    distance_Mk, index_Mk = nearest(points_MK, among_PK, 5)
    assert index_Mk.tolist() == np.argsort(distance_MP, axis=1)[:, :5].tolist()
    assert distance_Mk == pytest.approx(np.sort(distance_MP, axis=1)[:, :5])
    assert nearest(points_MK, among_PK[:2], 5)[0].shape == (21, 2)


def test_at_an_item_its_own_latent_is_decoded(view: OverviewView) -> None:
    assert isinstance(view, View)
    assert not view.is_exact
    assert view.lift(view.xy_P2) == pytest.approx(view.latents_PD, abs=1e-9)
    assert view.project(view.latents_PD) == pytest.approx(view.xy_P2, abs=1e-9)
    assert view.nearest_item((float(view.xy_P2[7, 0]), float(view.xy_P2[7, 1]))) == 14
    assert view.holds(view.latents_PD[3])
    assert not view.holds(view.latents_PD[3] + 0.1)


def test_elsewhere_the_mean_of_the_five_nearest_latents_weighted_by_inverse_distance(view: OverviewView) -> None:
    xy = np.array([0.1, 0.2])
    distance_P = np.linalg.norm(view.xy_P2 - xy, axis=1)
    chosen = np.argsort(distance_P)[:5]
    expected_D = np.average(view.latents_PD[chosen], axis=0, weights=1.0 / distance_P[chosen])
    assert view.lift(xy[None])[0] == pytest.approx(expected_D)


def test_far_places_and_bad_round_trips_are_told(view: OverviewView) -> None:
    distance_P = np.sort(np.linalg.norm(view.xy_P2[:, None] - view.xy_P2, axis=2), axis=1)[:, 1]
    assert view.far_distance == pytest.approx(np.percentile(distance_P, 99))
    assert view.is_far(np.array([[50.0, 50.0], view.xy_P2[0]])).tolist() == [True, False]
    round_trip_N = view.round_trip(np.array([[50.0, 50.0], view.xy_P2[0]]))
    assert round_trip_N[0] > 40.0
    assert round_trip_N[1] < 1e-9


def test_items_stand_where_the_overview_put_them(view: OverviewView) -> None:
    codes_ND = np.random.default_rng(3).normal(size=(200, 6))
    xy_N2 = view.place(codes_ND)
    assert xy_N2[::2].tolist() == view.xy_P2.tolist()
    assert np.isnan(xy_N2[1::2]).all()
    assert view.place(view.latents_PD[:3]) == pytest.approx(view.xy_P2[:3], abs=1e-9)


def test_the_home_of_an_overview_is_the_box_of_its_items(view: OverviewView) -> None:
    home = view.home
    assert (home.left, home.bottom) == tuple(view.xy_P2.min(axis=0))
    assert (home.right, home.top) == tuple(view.xy_P2.max(axis=0))
    assert view.renewed(np.full((200, 6), np.nan)).home == PRIOR_RECT


def test_a_renewed_overview_keeps_its_places_and_takes_new_codes(view: OverviewView) -> None:
    codes_ND = np.random.default_rng(3).normal(size=(200, 6))
    codes_ND[4] = np.nan
    renewed = view.renewed(codes_ND)
    assert renewed.item_ids_P.tolist() == [number for number in range(0, 200, 2) if number != 4]
    assert renewed.lift(view.xy_P2[:1])[0] == pytest.approx(codes_ND[0])


def test_other_questions_to_an_overview_have_plain_answers(view: OverviewView) -> None:
    mean_N2, covariance_N22 = view.marginal(view.latents_PD[:4], np.ones((4, 6)))
    assert mean_N2 == pytest.approx(view.xy_P2[:4], abs=1e-9)
    assert not covariance_N22.any()
    u_ND, v_ND = view.tangents(np.array([[0.1, 0.2]]))
    assert np.isfinite([u_ND, v_ND]).all()
    assert np.abs(u_ND).max() > 0.0
    assert view.distance(view.latents_PD[:2]) == pytest.approx(np.zeros(2), abs=1e-9)
    assert np.isnan(view.project(np.full((1, 6), np.nan))).all()


def test_items_are_chosen_evenly_among_the_finite() -> None:
    codes_ND = np.zeros((30_000, 2))
    codes_ND[::3] = np.nan
    ids = chosen_items(codes_ND)
    assert len(ids) == MOST_CODES
    assert len(set(ids.tolist())) == MOST_CODES
    assert not np.any(ids % 3 == 0)
    assert np.abs(np.histogram(ids, bins=10, range=(0, 30_000))[0] - 1000).max() <= 2
    with pytest.raises(UserError, match="19 are finite"):
        chosen_items(np.concatenate([np.zeros((19, 2)), np.full((50, 2), np.inf)]))


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "find_spec", lambda name: None)
    for name, title in (("umap", "UMAP"), ("tsne", "t-SNE")):
        with pytest.raises(UserError, match=f"{title} is not installed.") as caught:
            start_overview(codes(), name, 0)
        assert 'pip install "vae-explorer[umap]"' in caught.value.hint
    with pytest.raises(UserError, match="tsne"):
        start_overview(codes(), "tsn", 0)


def test_the_result_is_a_view_and_nothing_is_left(folder: Path, play_child: Callable[[str], None]) -> None:
    play_child(WRITES_RESULT)
    codes_ND = codes()
    codes_ND[5] = np.nan
    run = start_overview(codes_ND, "umap", 0)
    result = wait_for(run)
    assert result.view.lift(2.0 * codes_ND[:1, :2])[0] == pytest.approx(codes_ND[0], abs=1e-4)
    assert result.view.num_items == 300
    assert 5 not in result.view.item_ids_P
    assert result.view.far_distance == 0.5
    assert run.poll() is result
    assert list(folder.iterdir()) == []


def test_progress_is_told_and_cancelling_ends_the_child(folder: Path, play_child: Callable[[str], None]) -> None:
    play_child(WAITS)
    run = start_overview(codes(), "tsne", 0)
    until = time.monotonic() + 60.0
    while run.poll() != overview.OverviewProgress("Layout", 0.25):
        assert time.monotonic() < until
        time.sleep(0.01)
    child = run._process
    run.cancel()
    assert child.returncode is not None
    assert list(folder.iterdir()) == []
    with pytest.raises(UserError, match="cancelled"):
        run.poll()
    run.cancel()


def test_a_run_that_nobody_holds_any_more_ends(folder: Path, play_child: Callable[[str], None]) -> None:
    play_child(WAITS)
    run = start_overview(codes(), "tsne", 0)
    child = run._process
    del run
    gc.collect()
    assert child.returncode is not None
    assert list(folder.iterdir()) == []


def test_the_deadline_ends_the_child(folder: Path, play_child: Callable[[str], None]) -> None:
    play_child(WAITS)
    run = start_overview(codes(), "umap", 0, deadline_s=0.0)
    with pytest.raises(UserError, match="longer than 0 seconds"):
        wait_for(run)
    assert run._process.returncode is not None
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise RuntimeError('no room')", "RuntimeError: no room"),
        ("import os; os._exit(9)", "exit status 9"),
        (WRITES_RESULT.replace("codes[:, :2] * 2.0", "codes[:, :2] * np.nan"), "exit status 0"),
        ("pass", "exit status 0"),
    ],
    ids=["raises", "dies", "not finite", "no result"],
)
def test_a_child_that_fails_is_told(folder: Path, play_child: Callable[[str], None], code: str, said: str) -> None:
    play_child(code)
    run = start_overview(codes(), "umap", 0)
    with pytest.raises(UserError, match="UMAP failed") as caught:
        wait_for(run)
    assert said in caught.value.message
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(overview, "find_spec", lambda name: object())
    monkeypatch.setattr(overview.np, "save", fail)
    with pytest.raises(UserError, match="No space left"):
        start_overview(codes(), "umap", 0)
    assert list(folder.iterdir()) == []


def test_progress_is_read_out_of_what_the_packages_print() -> None:
    told: list[tuple[str, float]] = []
    text = overview_child.LayoutText(lambda stage, fraction: told.append((stage, fraction)), 0.5)
    text.write("\r100/200")
    text.write("[t-SNE] Iteration 250: error = 71.2, gradient norm = 0.3 (50 iterations in 0.5s)")
    text.write("Fri May 1 12:00:00 Construct embedding\n")
    assert told == [("Layout", 0.75), ("Layout", 0.625)]


def test_the_child_writes_a_layout_and_tells_its_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def layout(codes_PD: Float64, seed: int, tell: overview_child.Tell) -> Float64:
        tell("Layout", 0.5)
        return codes_PD[:, :2] + seed

    monkeypatch.setitem(overview_child.LAYOUTS, "umap", layout)
    codes_ND = codes()
    np.save(tmp_path / "codes.npy", codes_ND)
    output = io.StringIO()
    overview_child.main([str(tmp_path), "umap", "3"], output)
    assert [json.loads(line) for line in output.getvalue().splitlines()] == [{"stage": "Layout", "fraction": 0.5}]
    assert np.load(tmp_path / "result.npy") == pytest.approx(codes_ND[:, :2] + 3)
    assert float(np.load(tmp_path / "far_distance.npy")) == pytest.approx(far_distance(codes_ND[:, :2]))


def test_there_is_a_layout_for_every_method() -> None:
    assert set(overview_child.LAYOUTS) == set(OVERVIEWS.names())


@needs_packages
@pytest.mark.skipif(os.name != "posix", reason="watches the child's files as POSIX allows")
def test_the_child_ends_when_the_program_is_gone(folder: Path) -> None:
    run = start_overview(codes(), "tsne", 0)
    assert run._process.stdin is not None
    run._process.stdin.close()
    assert run._process.wait(60) == 1
    assert list(folder.iterdir()) == []
    with pytest.raises(UserError):
        run.poll()


@needs_packages
@pytest.mark.parametrize("method", ["tsne", pytest.param("umap", marks=pytest.mark.slow)])
def test_groups_far_apart_stay_apart(folder: Path, method: str) -> None:
    codes_ND = codes(240)
    result = wait_for(start_overview(codes_ND, method, 0))
    neighbours_Pk = nearest(result.view.xy_P2, result.view.xy_P2, 6)[1][:, 1:]
    assert np.mean(neighbours_Pk % 3 == np.arange(240)[:, None] % 3) > 0.98
    assert list(folder.iterdir()) == []
