"""The folder of a run: what it is called, what it holds, who may write in it. Free of torch.

RUN/
  run.toml       format version, name, environment and the complete resolved configuration
  metrics.csv    events.jsonl    append-only (`recorder`)
  checkpoints/   000123456/ ...  (`checkpoint`)
  frames/        what one looks back at (`frames`)
  samples/       sample grids
  arrangement.json  what a person arranged on its map (`arrangement_file`)
  notes.toml     what a person says of it (`run_notes`)
  start_weights.safetensors    what it started from, where that was a file (`start_weights`)
  writer.lock    who writes, while it does (`writer_lock`)
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import stat
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import tomli_w

from vae_explorer import __version__
from vae_explorer.config import read_toml
from vae_explorer.errors import FileError, UserError
from vae_explorer.runs import files, writer_lock
from vae_explorer.training.run_config import read_run_config as read_plain_config
from vae_explorer.training.run_config import run_config_from_table, run_config_to_table

if TYPE_CHECKING:
    from vae_explorer.training.run_config import RunConfig

FORMAT_VERSION = 1
CONFIG_FILE = "run.toml"
METRICS_FILE = "metrics.csv"
EVENTS_FILE = "events.jsonl"
CHECKPOINTS_FOLDER = "checkpoints"
SAMPLES_FOLDER = "samples"
START_WEIGHTS_FILE = "start_weights.safetensors"
RUNS_VARIABLE = "VAE_EXPLORER_RUNS"

_HEAD = ("format_version", "name", "created", "environment", "parent")
_PACKAGES = ("torch", "numpy", "safetensors")


def default_parent() -> Path:
    """Where new runs go: the folder named by VAE_EXPLORER_RUNS, else `runs` in the user's data folder."""
    named = os.environ.get(RUNS_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_data_dir("vae-explorer", appauthor=False)) / "runs"


@dataclass(frozen=True, slots=True)
class Parent:
    """The run that another one was forked from, and at which step."""

    name: str
    step: int


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """A run on disk and the configuration it was made with; `parent` where it was forked from another."""

    path: Path
    config: RunConfig
    parent: Parent | None = None

    @classmethod
    def create(cls, config: RunConfig, path: Path | None = None, parent: Parent | None = None) -> RunDirectory:
        """Make the folder of a new run and write its run.toml.

        Without a path the run goes to `default_parent()` under a name of data set, model and time. Raises FileError
        where the folder cannot be made or is not empty.
        """
        path = new_run_path(files.expanded(default_parent()), config) if path is None else files.expanded(path)
        _require_unused(path)
        files.make_folder(path)
        run = cls(path, config, parent)
        run.write_environment({})
        return run

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """The run in that folder. Raises FileError where there is none, or one that this version cannot read."""
        path = files.expanded(path)
        return cls(path, read_run_config(path / CONFIG_FILE), parent_in(read_toml(path / CONFIG_FILE)))

    @property
    def name(self) -> str:
        """The name shown for the run: its folder's."""
        return self.path.name

    @property
    def metrics_file(self) -> Path:
        """The CSV of metrics; not there before the first report."""
        return self.path / METRICS_FILE

    @property
    def events_file(self) -> Path:
        """The JSON lines of events; not there before the start."""
        return self.path / EVENTS_FILE

    @property
    def checkpoints_folder(self) -> Path:
        """Where the checkpoints are; not there before the first."""
        return self.path / CHECKPOINTS_FOLDER

    @property
    def samples_folder(self) -> Path:
        """Where sample grids of this run go by default; not there before the first."""
        return self.path / SAMPLES_FOLDER

    def checkpoints(self) -> tuple[Path, ...]:
        """Folders of all checkpoints, oldest first."""
        try:
            found = [
                entry for entry in self.checkpoints_folder.iterdir() if entry.name.isascii() and entry.name.isdigit()
            ]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise files.file_error(self.checkpoints_folder, error, "read") from error
        return tuple(sorted(found, key=lambda folder: int(folder.name)))

    def newest_checkpoint(self) -> Path | None:
        """The folder of the newest checkpoint, or None before the first; not yet verified."""
        return max(self.checkpoints(), key=lambda folder: int(folder.name), default=None)

    def write_environment(self, device: Mapping[str, object]) -> None:
        """Write run.toml, with what is known of the machine; `device` adds what the trainer chose. Raises FileError.

        The time at which the run was created stays that of the first writing.
        """
        table: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "created": self._created() or datetime.now().astimezone().isoformat(timespec="seconds"),
            "environment": {
                "vae_explorer": __version__,
                "python": platform.python_version(),
                "platform": platform.platform(),
                "processor": platform.machine(),
                "num_processors": os.cpu_count() or 1,
                **{package: _version(package) for package in _PACKAGES},
                **device,
            },
        }
        if self.parent is not None:
            table["parent"] = asdict(self.parent)
        files.write_text_atomic(self.path / CONFIG_FILE, tomli_w.dumps(table | run_config_to_table(self.config)))

    def _created(self) -> str | None:
        try:
            created = read_toml(self.path / CONFIG_FILE).get("created")
        except FileError:
            return None
        return created if isinstance(created, str) else None

    def discard_unused(self) -> None:
        """Remove the folder where nothing but its run.toml was written, so that its name can be used again.

        For a run that failed before its first event; what cannot be removed stays.
        """
        with suppress(OSError, FileError):
            # Another process that writes here has its lock in the folder, which keeps it.
            if [entry.name for entry in self.path.iterdir()] == [CONFIG_FILE]:
                with self.writing():
                    files.remove_file(self.path / CONFIG_FILE)
                files.remove_empty_folder(self.path)

    def writing(self) -> AbstractContextManager[None]:
        """Be the one writer of this folder inside the `with`; raises FileError where another process is."""
        return writer_lock.writing(self.path)


def read_run_config(path: Path) -> RunConfig:
    """The configuration in a run.toml; raises FileError or SettingError with the file and the reason."""
    require_plain_file(path, "A run folder holds a run.toml; check the path, or choose a folder that training made.")
    return run_config_from_file_table(read_toml(path), path)


def run_config_from_file_table(table: Mapping[str, Any], path: Path) -> RunConfig:
    """The configuration in what was read of a run.toml; raises as `read_run_config`."""
    version = table.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise FileError(path, f"{path} does not say its format version.", "It was not written by VAE Explorer.")
    if version > FORMAT_VERSION:
        raise FileError(
            path,
            f"{path} has format version {version}, which is newer than this program's {FORMAT_VERSION}.",
            "Open it with a newer version of VAE Explorer.",
        )
    try:
        return run_config_from_table({key: value for key, value in table.items() if key not in _HEAD}, str(path))
    except FileError:
        raise
    except UserError as error:
        raise FileError(path, f"{path} is not a valid configuration: {error.message}", error.hint) from error


def parent_in(table: Mapping[str, Any]) -> Parent | None:
    """What a run.toml says of it; what is no parent is none."""
    found = table.get("parent")
    if not isinstance(found, dict) or not isinstance(found.get("name"), str) or type(found.get("step")) is not int:
        return None
    return Parent(found["name"], found["step"])


def read_any_config(path: Path) -> RunConfig:
    """The configuration in a person's TOML file, in a run.toml under any name, or in a run folder.

    A run.toml is told by its format version. Raises FileError or SettingError with the file and the reason.
    """
    path = files.expanded(path)
    if files.is_folder(path):
        return read_run_config(path / CONFIG_FILE)
    require_plain_file(path, "Check the path, or start from a preset.")
    if "format_version" in read_toml(path):
        return read_run_config(path)
    return read_plain_config(path)


def require_plain_file(path: Path, hint: str) -> None:
    """Raise FileError unless the path is a plain file: opening a pipe or a device would wait for ever."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise FileError(path, f"There is no file {path}.", hint) from None
    except OSError as error:
        raise files.file_error(path, error, "read") from error
    if not stat.S_ISREG(mode):
        raise FileError(path, f"{path} is not a plain file.", hint)


def new_run_path(parent: Path, config: RunConfig) -> Path:
    """A folder in `parent` that is not there yet, named by data set, model and time."""
    stem = f"{config.data.dataset}-{config.model_name}-{datetime.now():%Y%m%d-%H%M%S}"
    candidate, count = parent / stem, 1
    while files.exists(candidate):
        count += 1
        candidate = parent / f"{stem}-{count}"
    return candidate


def _require_unused(path: Path) -> None:
    hint = "Choose a new folder for this run, or an empty one."
    for folder in path.parents:
        if files.exists(folder / CONFIG_FILE):
            raise FileError(path, f"{path} lies in the folder of the run {folder.name}.", "Choose a folder beside it.")
    try:
        if not path.exists() and not path.is_symlink():
            return
        if not path.is_dir():
            raise FileError(path, f"{path} is a file, not a folder.", hint)
        if (path / CONFIG_FILE).exists():
            raise FileError(path, f"{path} holds a run already.", hint)
        if any(path.iterdir()):
            raise FileError(path, f"{path} is not empty.", hint)
    except OSError as error:
        raise files.file_error(path, error, "read") from error


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
