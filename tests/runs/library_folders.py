"""Folders of runs as a library finds them, made without training."""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from tests.runs.metric_files import metric_lines
from vae_explorer.runs.run_directory import EVENTS_FILE, METRICS_FILE
from vae_explorer.training.run_config import RunConfig, default_config, run_config_to_table, with_value

STARTED = {"event": "started", "step": 0, "model": "vae"}
COMPLETED = {"event": "finished", "step": 100, "reason": "completed"}


def config_with(**values: Any) -> RunConfig:
    """The default configuration with `section__key=value` changed."""
    config = default_config()
    for path, value in values.items():
        config = with_value(config, path.replace("__", "."), value)
    return config


def make_run(
    path: Path,
    config: RunConfig | None = None,
    *,
    num_rows: int = 200,
    seed: int = 0,
    events: tuple[Mapping[str, Any], ...] = (STARTED, COMPLETED),
    created: str = "2026-11-26T10:00:00+00:00",
    num_checkpoints: int = 0,
) -> Path:
    """A run folder with curves and events, as a training would have left it."""
    path.mkdir(parents=True)
    head = {"format_version": 1, "name": path.name, "created": created, "environment": {"python": "3.11"}}
    table = head | run_config_to_table(config or default_config())
    (path / "run.toml").write_text(tomli_w.dumps(table), encoding="utf-8")
    if num_rows:
        (path / METRICS_FILE).write_text("".join(metric_lines(num_rows, seed)), encoding="utf-8")
    write_events(path, *events)
    for step in range(num_checkpoints):
        folder = path / "checkpoints" / f"{step:09d}"
        folder.mkdir(parents=True)
        for name in ("model.safetensors", "training_state.safetensors", "state.json", "manifest.json"):
            (folder / name).write_bytes(b"x" * 1000)
    return path


def write_events(path: Path, *events: Mapping[str, Any]) -> None:
    """Write events.jsonl anew."""
    lines = [json.dumps({**event, "time": "2026-11-26T10:00:00+00:00"}) + "\n" for event in events]
    (path / EVENTS_FILE).write_text("".join(lines), encoding="utf-8")


def write_picture(path: Path, side: int = 16, grey: int = 128) -> Path:
    """A grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (b"\x00" + bytes([grey]) * side) * side

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def iwae_config(samples: int) -> RunConfig:
    """An IWAE with so many importance samples."""
    config = with_value(default_config(), "model.name", "iwae")
    return dataclasses.replace(config, model=dataclasses.replace(config.model, importance_samples=samples))
