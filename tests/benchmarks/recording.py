"""What a run folder costs: the default preset with recording, checkpoints and frames, and with less, in turn.

Two runs of the same kind differ by some percent where others work on the machine, which is more than is looked for: so
the training thread's own time for each part is counted too.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.reporting import machine, median, print_table
from vae_explorer.datasets.image_dataset import ImageDataset, load_dataset
from vae_explorer.runs.frames import frames_folder
from vae_explorer.runs.recorder import record
from vae_explorer.runs.run_directory import RunDirectory
from vae_explorer.training.control import Control
from vae_explorer.training.events import Event, Started
from vae_explorer.training.hardware import choose_device
from vae_explorer.training.run_config import DEFAULT_PRESET, RunConfig, load_preset, with_value
from vae_explorer.training.trainer import Trainer

PAIRS = 3
HOURS = 8
CLOCKS = {"clock": time.perf_counter, "training thread": time.thread_time, "all threads": time.process_time}
BARE, RECORDED, WITHOUT_FRAMES = "nothing kept", "all kept", "all but frames"


class Course:
    """One run of the default preset, pulled a part at a time.

    `seconds` of the clock, of processor time of the training thread, and of that of all threads. `parts`: processor
    seconds of the training thread for what is not training.
    """

    def __init__(self, config: RunConfig, dataset: ImageDataset, kind: str, folder: Path) -> None:
        wanted = config.recording.lookback_images if kind == RECORDED else 0
        config = with_value(config, "recording.lookback_images", wanted)
        self.trainer = Trainer(config, dataset, "benchmark")
        self.parts: Counter[str] = Counter()
        self._inside = 0.0
        if kind == BARE:
            self.trainer.state = lambda: None  # type: ignore[method-assign]  # no checkpoint is due without a state
            self.events: Iterator[Any] = self.trainer.run(Control())
        else:
            self.run = RunDirectory.create(config, folder)
            self.trainer.state = self._timed("states", self.trainer.state)  # type: ignore[method-assign]
            taking = self.trainer.frame_taking()
            taking._kept = self._timed("frames", taking._kept)  # type: ignore[method-assign]
            self.trainer.frame_taking = lambda: taking  # type: ignore[method-assign]
            self.events = record(self._timed_events(), self.run)
        started = next(self.events)
        assert isinstance(started, Started)
        self.num_threads = started.num_threads
        self._inside = 0.0  # the trial of threads came before the first event
        self.seconds = [0.0] * len(CLOCKS)

    def _timed(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return work(*given, **named)
            finally:
                self.parts[part] += time.thread_time() - began

        return timed

    def _timed_events(self) -> Iterator[Event]:
        events = self.trainer.run(Control())
        while True:
            began = time.thread_time()
            event = next(events, None)
            self._inside += time.thread_time() - began
            if event is None:
                return
            yield event

    def train_until(self, epoch: float) -> None:
        """The last part, beyond the last epoch, ends when everything is on the disk."""
        began = [clock() for clock in CLOCKS.values()]
        for _ in self.events:
            if self.trainer.epoch >= epoch:
                break
        self.seconds = [
            sum_ + clock() - then for sum_, clock, then in zip(self.seconds, CLOCKS.values(), began, strict=True)
        ]
        self.parts["lines and offers"] = self.seconds[1] - self._inside


def run() -> dict[str, Any]:
    device = choose_device("auto")
    config = load_preset(DEFAULT_PRESET).config
    dataset = load_dataset(config.data.dataset, config.data.heldout_images, device)
    epochs = config.training.epochs
    found: dict[str, list[list[float]]] = {BARE: [], WITHOUT_FRAMES: [], RECORDED: []}
    parts: list[dict[str, float]] = []
    size = {}
    for pair in range(PAIRS):
        with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as ending:
            courses = {kind: Course(config, dataset, kind, Path(name) / kind) for kind in found}
            for course in courses.values():
                ending.callback(course.events.close)  # type: ignore[attr-defined]
            # The number of threads is found by trial: all take that of the first run.
            config = with_value(config, "training.num_threads", courses[BARE].num_threads)
            order = list(courses)[pair % 3 :] + list(courses)[: pair % 3]
            # Parts end in the middle of epochs: a checkpoint is written after each, beside what is measured then.
            for part in range(epochs + 1):
                for kind in order:
                    courses[kind].train_until(part + 0.5)
            for kind, course in courses.items():
                found[kind].append(course.seconds)
            last = courses[RECORDED]
            training = last._inside - last.parts["frames"] - last.parts["states"]
            parts.append({part: seconds / training for part, seconds in last.parts.items()})
            files = [path.stat().st_size for path in frames_folder(courses[RECORDED].run).iterdir()]
            seconds = last.seconds[0]
            lines = sum(path.stat().st_size for path in (last.run.metrics_file, last.run.events_file))
            size = {
                "files": len(files), "bytes": sum(files),
                f"MB of lines in {HOURS} h": lines * HOURS * 3600 / seconds / 1e6,
            }  # fmt: skip
            print(pair + 1, {kind: [round(x, 2) for x in values[-1]] for kind, values in found.items()}, flush=True)
    rows, more = [], {}
    for kind, values in found.items():
        row: list[str] = [kind]
        for number, clock in enumerate(CLOCKS):
            ratios = [one[number] / other[number] - 1 for one, other in zip(values, found[BARE], strict=True)]
            more[f"{kind}, {clock}"] = median(ratios)
            row += [f"{median([value[number] for value in values]):.1f} s", f"{100 * median(ratios):+.1f} %"]
        rows.append(row)
    header = ["run", *(word for clock in CLOCKS for word in (clock, "more"))]
    threads = config.training.num_threads
    title = f"default preset, {epochs} epochs, {threads} threads, medians of {PAIRS} runs in turn (bar: 3 %)"
    print_table(f"{title}; frames: {size}", header, rows)
    shares = {name: median([part[name] for part in parts]) for name in parts[0]}
    shares["in all"] = sum(shares.values())
    print_table(
        "processor time of the training thread, all kept, as a share of training itself",
        ("part", "share"), [(name, f"{100 * share:.2f} %") for name, share in shares.items()],
    )  # fmt: skip
    return {
        "machine": machine(), "seconds": found, "more": more, "shares": shares, "frames": size, "threads": threads,
        "bar": 0.03,
    }  # fmt: skip
