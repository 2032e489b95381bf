"""Several runs in one folder, trained one after the other; what ended there is not trained again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vae_explorer.cli_output import say
from vae_explorer.cli_train import train
from vae_explorer.errors import FileError
from vae_explorer.runs import files
from vae_explorer.runs.run_directory import CONFIG_FILE, RunDirectory
from vae_explorer.training.run_config import RunConfig, run_config_to_table


class RunSeries:
    """The runs `configs`, each in the subfolder of its name.

    Raises FileError, before anything is trained, where a subfolder holds something else.
    """

    def __init__(self, folder: Path, configs: Mapping[str, RunConfig], *, as_json: bool) -> None:
        self.folder = folder
        self.configs = configs
        self.as_json = as_json
        self._finished = {name: _is_finished(folder / name, wanted) for name, wanted in configs.items()}
        files.make_folder(folder)

    def train(self, name: str, title: str) -> int:
        """Train that run unless it ended already, begun anew where it was broken off; returns the exit status."""
        path = self.folder / name
        number = list(self.configs).index(name) + 1
        if not self.as_json:
            words = "is there already" if self._finished[name] else "is trained"
            say(f"{title} ({number} of {len(self.configs)}) {words}: {path}", flush=True)
        if self._finished[name]:
            return 0
        if files.exists(path):
            files.remove_folder(path)
        return train(self.configs[name], path, as_json=self.as_json)


def _is_finished(path: Path, wanted: RunConfig) -> bool:
    """Whether this very run was trained to its end; raises FileError where something else is there."""
    from vae_explorer.runs.history import read_events

    if not files.exists(path):
        return False
    if not files.exists(path / CONFIG_FILE):
        raise FileError(path, f"{path} is there and holds no run.", "Choose another --out folder.")
    run = RunDirectory.open(path)
    if run_config_to_table(run.config) != run_config_to_table(wanted):
        raise FileError(
            path, f"{path} holds a run of another configuration.", "Choose another --out folder, or the same settings."
        )
    ends = [event for event in read_events(run) if event.get("event") == "finished"]
    return bool(ends) and ends[-1].get("reason") == "completed" and run.newest_checkpoint() is not None
