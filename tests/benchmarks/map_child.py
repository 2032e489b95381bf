"""The map in a window of its own, for `map`: `python -m tests.benchmarks.map_child MODE ARGUMENT` prints one object.

Modes: `hand N` (pan and zoom with N synthetic codes, nothing trains), `background NETWORK` (jumps to new places).
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.benchmarks.window_child import make_window, when_ready

FRAMES = 240
JUMPS = 6
SETTLE_MS = 3000


def register_synthetic(num_images: int) -> None:
    """A data set of so many small images in ten classes."""
    from vae_explorer.datasets.catalogue import DATASETS, DatasetRecord, Split
    from vae_explorer.datasets.mnist import LabelledImages

    def load(split: Split) -> LabelledImages:
        num = num_images if split == "train" else 1000
        generator = np.random.default_rng(0)
        labels_N = generator.integers(0, 10, num)
        pictures = generator.integers(0, 256, (10, 1, 8, 8), dtype=np.uint8)
        return LabelledImages(pictures[labels_N], labels_N.astype(np.int64))

    record = DatasetRecord(
        name="synthetic", title="Synthetic", summary="Noise.", reference="benchmarks", licence="MIT",
        image_shape=(1, 8, 8), num_classes=10, class_names=tuple("0123456789"), load=load,
    )  # fmt: skip
    DATASETS.add(record)


def hand(num_codes: int) -> dict[str, Any]:
    """Times from frame to frame while the map is pushed and zoomed as fast as it can be painted."""
    import torch

    from vae_explorer.latent.layers import CodesOptions
    from vae_explorer.training.run_config import with_value

    register_synthetic(num_codes)
    app, window = make_window()
    session = window.session
    config = with_value(with_value(session.config, "data.dataset", "synthetic"), "model.hidden_widths", (32,))
    session.place_config(config)
    canvas = window.panel("latent_map").canvas
    found: dict[str, Any] = {"num_codes": num_codes}

    def act() -> Iterator[int]:
        generator = torch.Generator().manual_seed(0)
        codes = torch.randn(num_codes, 2, generator=generator)
        snapshot = session.snapshot
        session.show_snapshot(dataclasses.replace(snapshot, codes_ND=codes, step=1, stamp=snapshot.stamp + 1000))
        yield SETTLE_MS
        for name, style in (("pan", "points"), ("zoom", "points"), ("density", "density")):
            session.map.set_layer("codes", options=CodesOptions(style=style))
            yield 1000
            found[name] = []
            last = time.perf_counter()
            for number in range(FRAMES):
                if name == "zoom":
                    factor = 1.04 if (number // 30) % 2 == 0 else 1 / 1.04
                    frame = canvas.frame.zoomed(factor, canvas.frame.width / 3, canvas.frame.height / 3)
                else:
                    frame = canvas.frame.panned(*((5, 3) if (number // 40) % 2 == 0 else (-5, -3)))
                canvas.taken_over.emit()
                canvas.set_frame(frame)
                # Painted at once: an update that is only queued can be overtaken by the next step.
                canvas.repaint()
                yield 0
                now = time.perf_counter()
                found[name].append((now - last) * 1e3)
                last = now
        window.close()

    drive(window, app, act)
    return found


def background(network: str) -> dict[str, Any]:
    """Times from a jump to a place never seen to the first view of it and to the sharp one, after a short training."""
    from vae_explorer.training.run_config import with_value

    app, window = make_window()
    session = window.session
    if network == "convolutional":
        session.place_config(with_value(session.config, "model.body", "convolutional"))
    canvas = window.panel("latent_map").canvas
    found: dict[str, Any] = {"network": network}

    def act() -> Iterator[int]:
        session.train()
        yield 6000
        session.stop()
        yield SETTLE_MS
        for width, height in ((1280, 800), (2560, 1440)):
            window.resize(width, height)
            yield 2000
            first: list[float] = []
            sharp: list[float] = []
            home = canvas.frame
            for number in range(JUMPS):
                begin = time.perf_counter()
                seen: list[float] = []
                done: list[float] = []

                def note(name: str, drawing: Any, begin: float = begin, seen: Any = seen, done: Any = done) -> None:
                    if name == "manifold" and drawing is not None:
                        seen.append(time.perf_counter() - begin)
                        if drawing.is_whole:
                            done.append(time.perf_counter() - begin)

                session.map.layer_drawn.connect(note)
                canvas.taken_over.emit()
                # Another zoom, so that no cell of the last place is of use.
                canvas.set_frame(home.zoomed(1.7 ** (1 + number % 3), 100.0 + 60 * number, 80.0 + 30 * number))
                while not done:
                    yield 1
                session.map.layer_drawn.disconnect(note)
                first.append(seen[0])
                sharp.append(done[-1])
                yield 400
            cells = round(canvas.frame.width * canvas.frame.height / (canvas.frame.scale * 2.0**canvas.cell_level) ** 2)
            found[f"{width} x {height}"] = {"first": first, "sharp": sharp, "cells": cells}
        window.close()

    drive(window, app, act)
    return found


def drive(window: Any, app: Any, act: Callable[[], Iterator[int]]) -> None:
    """Run the steps of `act`, each after as many milliseconds as the last one asked for, and its frame painted."""
    from PySide6.QtCore import QTimer

    steps = act()

    def go_on() -> None:
        wait = next(steps, None)
        if wait is not None:
            QTimer.singleShot(wait, go_on)

    when_ready(window, lambda: QTimer.singleShot(500, go_on))
    window.closed.connect(app.quit)
    window.show()
    app.exec()


def main() -> None:
    mode, argument = sys.argv[1:3]
    print(json.dumps(hand(int(argument)) if mode == "hand" else background(argument)))


if __name__ == "__main__":
    main()
