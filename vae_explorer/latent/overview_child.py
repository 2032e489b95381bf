"""The child process that runs UMAP or t-SNE: `python -m vae_explorer.latent.overview_child FOLDER METHOD SEED`.

Reads FOLDER/codes.npy (P, D), writes FOLDER/result.npy (P, 2) and FOLDER/far_distance.npy, and says on standard output,
one JSON object a line, what it does: {"stage": "Layout", "fraction": 0.4}. It ends as soon as its standard input is
closed, so that it never outlives the program that started it. Compiled code of these packages is not safe beside
threads that train, hence a process.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from vae_explorer.latent.overview import far_distance

_TSNE_ITERATIONS = 1000
_MOST_UMAP_NEIGHBOURS = 15
_MOST_PERPLEXITY = 30.0

# Shares of the time, measured with 10,000 codes, at which the layout begins; UMAP compiles its code first.
_UMAP_LAYOUT_AT, _TSNE_LAYOUT_AT = 0.8, 0.05

Tell = Callable[[str, float], None]


class LayoutText(io.TextIOBase):
    """Reads the progress out of what the packages print: `120/200` by UMAP, `Iteration 350` by t-SNE.

    The layout begins at `starts_at` of the whole.
    """

    def __init__(self, tell: Tell, starts_at: float) -> None:
        self._tell = tell
        self._starts_at = starts_at

    def write(self, text: str) -> int:
        found = re.search(r"(\d+)/(\d+)\b", text)
        if found is not None:
            self._tell_layout(int(found[1]), int(found[2]))
        found = re.search(r"Iteration (\d+)", text)
        if found is not None:
            self._tell_layout(int(found[1]), _TSNE_ITERATIONS)
        return len(text)

    def _tell_layout(self, done: int, total: int) -> None:
        fraction = self._starts_at + (1.0 - self._starts_at) * min(done / max(total, 1), 1.0)
        self._tell("Layout", round(fraction, 3))


def umap_layout(codes_PD: NDArray[np.float32], seed: int, tell: Tell) -> NDArray[np.float64]:
    """UMAP with its usual settings; the same seed gives the same layout."""
    tell("Loading UMAP", 0.0)
    umap: Any = importlib.import_module("umap")
    tell("Nearest neighbours", 0.25)
    text = LayoutText(tell, _UMAP_LAYOUT_AT)
    reducer = umap.UMAP(
        n_neighbors=min(_MOST_UMAP_NEIGHBOURS, len(codes_PD) - 1),
        random_state=seed,
        n_jobs=1,
        verbose=True,
        tqdm_kwds={"file": text, "disable": False, "bar_format": "{n_fmt}/{total_fmt}", "mininterval": 0.2},
    )
    with contextlib.redirect_stdout(text):
        return np.asarray(reducer.fit_transform(codes_PD), dtype=np.float64)


def tsne_layout(codes_PD: NDArray[np.float32], seed: int, tell: Tell) -> NDArray[np.float64]:
    """Barnes-Hut t-SNE that starts from the principal components; the same seed gives the same layout."""
    tell("Loading t-SNE", 0.0)
    manifold: Any = importlib.import_module("sklearn.manifold")
    tell("Nearest neighbours", 0.01)
    reducer = manifold.TSNE(
        perplexity=min(_MOST_PERPLEXITY, (len(codes_PD) - 1) / 3.0),
        init="pca",
        learning_rate="auto",
        max_iter=_TSNE_ITERATIONS,
        random_state=seed,
        n_jobs=1,
        verbose=2,
    )
    with contextlib.redirect_stdout(LayoutText(tell, _TSNE_LAYOUT_AT)):
        return np.asarray(reducer.fit_transform(codes_PD), dtype=np.float64)


LAYOUTS = {"umap": umap_layout, "tsne": tsne_layout}


def main(arguments: list[str], output: TextIO) -> None:
    """Lay out FOLDER/codes.npy by METHOD with SEED, telling `output` how far it is."""
    folder, method, seed = Path(arguments[0]), arguments[1], int(arguments[2])

    def tell(stage: str, fraction: float) -> None:
        output.write(json.dumps({"stage": stage, "fraction": fraction}) + "\n")
        output.flush()

    codes_PD = np.load(folder / "codes.npy", allow_pickle=False)
    xy_P2 = LAYOUTS[method](codes_PD, seed, tell)
    np.save(folder / "result.npy", xy_P2)
    np.save(folder / "far_distance.npy", far_distance(xy_P2))


def _end_with_parent(folder: Path) -> None:
    # Not sys.stdin: a buffered reader that waits holds a lock which the interpreter's end needs.
    while os.read(0, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(10)
    threading.Thread(target=_end_with_parent, args=(Path(sys.argv[1]),), daemon=True).start()
    main(sys.argv[1:], sys.stdout)
