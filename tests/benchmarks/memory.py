"""P10: peak memory of the app training on MNIST; and of training on a set four times larger than the memory allowed
for it."""

from __future__ import annotations

import json
import resource
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.child_process import measure_in_child
from tests.benchmarks.reporting import machine, print_table

ALLOWED_BYTES = 128 * 2**20
"""What the pictures may add to the process; the file is four times larger."""


def write_large_set(path: Path) -> int:
    """An uncompressed IDX file of 28 x 28 pictures, 4 x ALLOWED_BYTES, made of MNIST over and over; returns their
    number."""
    from vae_explorer.datasets.image_dataset import load_dataset

    images = load_dataset("mnist", 0, "cpu").images
    import torch

    block = images.gather(torch.arange(images.num_images)).numpy().tobytes()
    repeats = -(-4 * ALLOWED_BYTES // len(block))
    num = repeats * images.num_images
    with path.open("wb") as file:
        file.write(struct.pack(">IIII", 0x0803, num, 28, 28))
        for _ in range(repeats):
            file.write(block)
    return num


def train_streamed(path: Path) -> dict[str, Any]:
    """In the child: one epoch over the file, and how much memory that added after the first steps."""
    import torch

    from vae_explorer.datasets.idx import open_idx_stream
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.training.control import Control
    from vae_explorer.training.events import MetricsChunk
    from vae_explorer.training.run_config import default_config, with_value
    from vae_explorer.training.trainer import Trainer

    images = open_idx_stream(path, "cpu")
    dataset = ImageDataset(
        name="large", image_shape=images.image_shape, num_classes=0, class_names=(), images=images, labels_N=None,
        train_index_N=torch.arange(images.num_images), heldout_index_N=torch.arange(0), content_digest="",
    )  # fmt: skip
    config = with_value(default_config(), "training.epochs", 1)
    first = 0
    seen = 0
    for event in Trainer(config, dataset).run(Control()):
        if isinstance(event, MetricsChunk):
            first = first or peak_memory_bytes()
            seen = event.images_seen
            rate = event.images_seen / event.seconds
    return {
        "images_seen": seen, "images_per_second": rate, "added_bytes": peak_memory_bytes() - first,
        "peak_memory_bytes": peak_memory_bytes(),
    }  # fmt: skip


def peak_memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run() -> dict[str, Any]:
    app = measure_in_child("tests.benchmarks.window_child", "shown", "20")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large-images-idx3-ubyte"
        num = write_large_set(path)
        size = path.stat().st_size
        streamed = measure_in_child("tests.benchmarks.memory", str(path))
    rows = [
        ("app training on MNIST, 23 s", f"{app['peak_memory_bytes'] / 2**20:,.0f} MiB", "1,200 MB"),
        (
            f"streamed epoch over {num:,} images ({size / 2**20:,.0f} MiB)",
            f"{streamed['added_bytes'] / 2**20:,.0f} MiB added",
            f"{ALLOWED_BYTES / 2**20:,.0f} MiB",
        ),
    ]
    print_table("P10 memory", ("what", "peak", "bar"), rows)
    print(f"  streamed training: {streamed['images_per_second']:,.0f} images/s")
    app = {key: value for key, value in app.items() if not isinstance(value, list)}
    return {"machine": machine(), "app": app, "streamed": streamed, "num_images": num, "file_bytes": size}


if __name__ == "__main__":
    print(json.dumps(train_streamed(Path(sys.argv[1]))))
