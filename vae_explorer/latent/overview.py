"""UMAP and t-SNE as an overview of the codes, computed in a child process. Torch-free.

Neither method has a formula from the map back to the latent space, so an overview is for finding and selecting items:
what it decodes is a nearest item, or a mean of near latents that must be called approximate, and never a plane.
Legend: N items, P of them in the overview, M map points, D latent dimensions.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import vae_explorer
from vae_explorer.errors import UserError
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.latent.views import PRIOR_RECT, Float64, Floats
from vae_explorer.registry import Registry

MOST_CODES = 10_000
LEAST_CODES = 20

_NEIGHBOURS = 5
# So many distances are held at a time: 32 MB of them.
_BLOCK = 4_000_000


@dataclass(frozen=True, slots=True)
class OverviewMethod:
    """One way to lay codes out in two dimensions; `module` is the package that must be installed for it."""

    name: str
    title: str
    summary: str
    reference: str
    module: str


OVERVIEWS: Registry[OverviewMethod] = Registry("overview method")

for _method in (
    OverviewMethod(
        "umap", "UMAP", "Keeps near codes near; distances between groups mean little.",
        "McInnes, Healy, Melville: UMAP, arXiv 1802.03426", "umap",
    ),
    OverviewMethod(
        "tsne", "t-SNE", "Keeps near codes near; sizes of groups and distances between them mean nothing.",
        "van der Maaten, Hinton: Visualizing data using t-SNE, JMLR 9, 2008", "sklearn",
    ),
):  # fmt: skip
    OVERVIEWS.add(_method)


@dataclass(frozen=True, slots=True, eq=False)
class OverviewView:
    """Items laid out by UMAP or t-SNE. `is_exact` is False: hovering decodes a nearest item or a guess.

    `item_ids_P` are ascending, `xy_P2` their places, `latents_PD` their codes; `num_items` is N, the number of items
    from which they were chosen. `far_distance` is the 99th percentile of the distance from an item to its nearest one:
    further from every item than that, the map shows nothing that a guess could rest on.
    """

    title: str
    item_ids_P: NDArray[np.int64]
    xy_P2: Float64
    latents_PD: Float64
    num_items: int
    far_distance: float

    @property
    def num_dimensions(self) -> int:
        """D."""
        return int(self.latents_PD.shape[1])

    @property
    def axis_labels(self) -> tuple[str, str]:
        """The axes of an overview measure nothing, so they only name the method."""
        return f"{self.title} 1", f"{self.title} 2"

    @property
    def is_exact(self) -> bool:
        """Never."""
        return False

    @property
    def home(self) -> MapRect:
        """The box around its items; without any, that of the prior."""
        if not len(self.xy_P2):
            return PRIOR_RECT
        (left, bottom), (right, top) = self.xy_P2.min(axis=0), self.xy_P2.max(axis=0)
        return MapRect(float(left), float(bottom), float(right), float(top))

    def renewed(self, codes_ND: Floats) -> OverviewView:
        """The same layout with the items' codes of another snapshot; items whose code is not finite are left out."""
        latents = np.asarray(codes_ND)[self.item_ids_P].astype(np.float64)
        is_finite_P = np.isfinite(latents).all(axis=1)
        return replace(
            self,
            item_ids_P=self.item_ids_P[is_finite_P],
            xy_P2=self.xy_P2[is_finite_P],
            latents_PD=latents[is_finite_P],
        )

    def lift(self, xy_N2: Floats) -> Float64:
        """A guess: the inverse-distance mean of the latents of the five nearest items; at an item its own latent."""
        return _weighted_mean(np.asarray(xy_N2, dtype=np.float64), self.xy_P2, self.latents_PD)

    def project(self, z_ND: Floats) -> Floats:
        """A guess: the inverse-distance mean of the places of the five items with the nearest latents."""
        return _weighted_mean(np.asarray(z_ND, dtype=np.float64), self.latents_PD, self.xy_P2)

    def place(self, z_ND: Floats) -> Floats:
        """The codes of all N items, by item id, stand where the overview put them; items it does not show are NaN.

        Any other number of points is projected.
        """
        if len(z_ND) != self.num_items:
            return self.project(z_ND)
        xy_N2 = np.full((self.num_items, 2), np.nan)
        xy_N2[self.item_ids_P] = self.xy_P2
        return xy_N2

    def holds(self, z_D: Floats, tolerance: float = 1e-6) -> bool:
        """Whether the point is the latent of an item shown."""
        return bool(self.distance(np.asarray(z_D, dtype=np.float64)[None])[0] <= tolerance)

    def distance(self, z_ND: Floats) -> Floats:
        """Latent distance (N,) to the nearest item shown."""
        return nearest(np.asarray(z_ND, dtype=np.float64), self.latents_PD, 1)[0][:, 0]

    def marginal(self, mean_ND: Floats, sigma_ND: Floats) -> tuple[Float64, Float64]:
        """The projected means, and no spread: lengths on an overview measure nothing."""
        mean_N2 = np.asarray(self.project(mean_ND), dtype=np.float64)
        return mean_N2, np.zeros((len(sigma_ND), 2, 2))

    def tangents(self, xy_N2: Floats) -> tuple[Float64, Float64]:
        """Of the guess, by central differences over a hundredth of `far_distance`."""
        xy = np.asarray(xy_N2, dtype=np.float64)
        step = max(0.01 * self.far_distance, 1e-9)
        u_ND, v_ND = (
            (self.lift(xy + shift_2) - self.lift(xy - shift_2)) / (2.0 * step) for shift_2 in step * np.eye(2)
        )
        return u_ND, v_ND

    def nearest_item(self, xy: tuple[float, float]) -> int:
        """The id of the item nearest to a map point: what hovering decodes exactly."""
        return int(self.item_ids_P[nearest(np.array([xy], dtype=np.float64), self.xy_P2, 1)[1][0, 0]])

    def is_far(self, xy_N2: Floats) -> NDArray[np.bool_]:
        """Whether (N,) each map point is further from every item than `far_distance`."""
        distance_N = nearest(np.asarray(xy_N2, dtype=np.float64), self.xy_P2, 1)[0][:, 0]
        return np.asarray(distance_N > self.far_distance, dtype=np.bool_)

    def round_trip(self, xy_N2: Floats) -> Float64:
        """How far (N,) each map point comes back from itself after `lift` and `project`, in map units."""
        back_N2 = self.project(self.lift(xy_N2))
        return np.asarray(np.linalg.norm(back_N2 - np.asarray(xy_N2, dtype=np.float64), axis=1), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class OverviewProgress:
    """How far the child is: what it does, and the share that is done, from 0 to 1."""

    stage: str
    fraction: float


@dataclass(frozen=True, slots=True, eq=False)
class OverviewResult:
    """A finished overview, and the seconds that it took."""

    view: OverviewView
    seconds: float


class OverviewRun:
    """The child process that lays codes out; start it with `start_overview`.

    Any one thread may use it; nothing here waits. Neither the child nor its files outlive this object or the program.
    """

    def __init__(
        self, method: OverviewMethod, item_ids_P: NDArray[np.int64], codes_ND: Floats, seed: int, deadline_s: float
    ) -> None:
        self.method = method
        self._item_ids_P = item_ids_P
        self._latents_PD = np.asarray(codes_ND[item_ids_P], dtype=np.float64)
        self._num_items = len(codes_ND)
        self._deadline_s = deadline_s
        self._started = time.monotonic()
        self._outcome: OverviewResult | UserError | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="vae-explorer-overview-"))
        try:
            np.save(self._folder / "codes.npy", self._latents_PD.astype(np.float32))
            self._process = _start_child(self._folder, method.name, seed)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        # Called when this object is collected or the program ends, whichever comes first, and once only.
        self._end = weakref.finalize(self, _end_child, self._process, self._folder)

    def poll(self) -> OverviewProgress | OverviewResult:
        """How far the child is, or what it found; raises UserError where it failed, was cancelled or took too long."""
        if self._outcome is None:
            status = self._process.poll()
            if status is None and time.monotonic() - self._started <= self._deadline_s:
                return self._progress()
            self._outcome = self._late() if status is None else self._finish(status)
            self._end()
        if isinstance(self._outcome, UserError):
            raise self._outcome
        return self._outcome

    def cancel(self) -> None:
        """End the child at once; `poll` raises UserError from now on, unless the result has been fetched already."""
        self._outcome = self._outcome or UserError("The overview was cancelled.", "Start it again when you want it.")
        self._end()

    def _progress(self) -> OverviewProgress:
        # The last line may be half written.
        whole = [line for line in self._said("progress.jsonl") if line.endswith("\n")]
        if not whole:
            return OverviewProgress("Starting", 0.0)
        told = json.loads(whole[-1])
        return OverviewProgress(str(told["stage"]), float(told["fraction"]))

    def _late(self) -> UserError:
        return UserError(
            f"{self.method.title} took longer than {self._deadline_s:.0f} seconds and was stopped.",
            "Try again when the machine is less busy, or choose the PCA plane.",
        )

    def _finish(self, status: int) -> OverviewResult | UserError:
        if status == 0:
            # A child that was told to end by something else than us may leave no result, or half of one.
            with contextlib.suppress(OSError, ValueError, EOFError):
                return self._result()
        said = [line.strip() for line in self._said("errors.txt") if line.strip()]
        return UserError(
            f"{self.method.title} failed: {said[-1] if said else f'exit status {status}'}.",
            "Choose the other method, or the PCA plane.",
        )

    def _said(self, name: str) -> list[str]:
        try:
            return (self._folder / name).read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        except OSError:
            # Folders for temporary files are swept by others too.
            return []

    def _result(self) -> OverviewResult:
        """Raises ValueError where the places are not finite or not those of the items."""
        xy_P2 = np.load(self._folder / "result.npy", allow_pickle=False)
        far = float(np.load(self._folder / "far_distance.npy", allow_pickle=False))
        if xy_P2.shape != (len(self._item_ids_P), 2) or not np.isfinite(xy_P2).all():
            raise ValueError("not a place for each item")
        view = OverviewView(self.method.title, self._item_ids_P, xy_P2, self._latents_PD, self._num_items, far)
        return OverviewResult(view, time.monotonic() - self._started)


def start_overview(codes_ND: Floats, method: str, seed: int, deadline_s: float = 600.0) -> OverviewRun:
    """Lay at most 10,000 of the codes out by "umap" or "tsne" in a child process, and return at once.

    Raises UserError where the method's package is not installed, too few codes are finite, or the disk is full.
    """
    record = OVERVIEWS[method]
    if find_spec(record.module) is None:
        raise UserError(f"{record.title} is not installed.", 'Install it with: pip install "vae-explorer[umap]"')
    item_ids_P = chosen_items(codes_ND)
    try:
        return OverviewRun(record, item_ids_P, codes_ND, seed, deadline_s)
    except OSError as error:
        raise UserError(
            f"{record.title} could not be started: {error.strerror or error}.",
            f"Make room in {tempfile.gettempdir()} and try again.",
        ) from error


def _start_child(folder: Path, method: str, seed: int) -> subprocess.Popen[bytes]:
    package_folder = str(Path(vae_explorer.__file__).resolve().parent.parent)
    paths = [package_folder, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    # Training goes on meanwhile, and keeps its cores.
    environment |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "vae_explorer.latent.overview_child", str(folder), method, str(seed)]
    with (folder / "progress.jsonl").open("wb") as progress, (folder / "errors.txt").open("wb") as errors:
        # The child ends when its input is closed, be it because this program was killed.
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=progress, stderr=errors, env=environment)


def _end_child(process: subprocess.Popen[bytes], folder: Path) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()
    shutil.rmtree(folder, ignore_errors=True)


def chosen_items(codes_ND: Floats) -> NDArray[np.int64]:
    """Ids of at most 10,000 items with finite codes, evenly chosen; raises UserError where fewer than 20 are finite."""
    finite_ids = np.flatnonzero(np.isfinite(codes_ND).all(axis=1))
    if len(finite_ids) < LEAST_CODES:
        raise UserError(
            f"An overview needs {LEAST_CODES} codes, and {len(finite_ids)} are finite.",
            "Train until the codes are finite, or choose a larger data set.",
        )
    chosen = np.linspace(0, len(finite_ids) - 1, min(len(finite_ids), MOST_CODES)).astype(np.int64)
    return finite_ids[chosen].astype(np.int64)


def far_distance(xy_P2: Float64) -> float:
    """The 99th percentile of the distance from a point to the nearest other one; about a second for 10,000."""
    return float(np.percentile(nearest(xy_P2, xy_P2, 2)[0][:, 1], 99))


def nearest(points_MK: Float64, among_PK: Float64, count: int) -> tuple[Float64, NDArray[np.int64]]:
    """Distances and indices, both (M, count), of the nearest of P points, the nearest first.

    A point that is not finite gets distances NaN. `count` is cut to P.
    """
    count = min(count, len(among_PK))
    distance_Mk = np.empty((len(points_MK), count))
    index_Mk = np.empty((len(points_MK), count), dtype=np.int64)
    square_P = np.einsum("pk,pk->p", among_PK, among_PK)
    rows = max(1, _BLOCK // max(1, len(among_PK)))
    for start in range(0, len(points_MK), rows):
        part = slice(start, start + rows)
        order_mP = square_P - 2.0 * points_MK[part] @ among_PK.T
        index_mk = np.argpartition(order_mP, count - 1, axis=1)[:, :count]
        # The expanded square has lost digits, so the few that are kept are measured again.
        gap_mkK = points_MK[part, None] - among_PK[index_mk]
        distance_mk = np.sqrt(np.einsum("mkd,mkd->mk", gap_mkK, gap_mkK))
        order_mk = np.argsort(distance_mk, axis=1)
        distance_Mk[part] = np.take_along_axis(distance_mk, order_mk, axis=1)
        index_Mk[part] = np.take_along_axis(index_mk, order_mk, axis=1)
    return distance_Mk, index_Mk


def _weighted_mean(points_MK: Float64, among_PK: Float64, values_PV: Float64) -> Float64:
    distance_Mk, index_Mk = nearest(points_MK, among_PK, _NEIGHBOURS)
    # Relative to the nearest, so that no distance, however small, overflows; at an item the others weigh nothing.
    closest_M1 = distance_Mk[:, :1]
    weight_Mk = np.divide(closest_M1, distance_Mk, out=np.ones_like(distance_Mk), where=distance_Mk > 0.0)
    mean_MV: Float64 = np.einsum("mk,mkv->mv", weight_Mk, values_PV[index_Mk]) / weight_Mk.sum(axis=1, keepdims=True)
    mean_MV[np.isnan(closest_M1[:, 0])] = np.nan
    return mean_MV
