from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.import_fence import ROWS, breaches, part_of

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "vae_explorer"
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
WITHOUT_TORCH = (
    "errors", "config", "registry", "resource_files", "doctor", "cli", "training.control", "training.metric_history",
    "training.run_config", "models.catalogue", "models.vae_config", "datasets.catalogue", "datasets.protocols",
    "runs.run_directory", "runs.library", "runs.metric_curves", "latent.views",
)  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_go_down_only(module: Path):
    assert breaches(part_of(module), (PACKAGE / module).read_text(encoding="utf-8")) == []


def test_every_part_of_the_package_has_a_row():
    parts = {part_of(module) for module in MODULES} - {"__init__"}
    assert parts <= {part for row in ROWS for part in row}


@pytest.mark.parametrize(
    ("part", "source", "breach"),
    [
        ("training", "import PySide6", "PySide6 outside gui"),
        ("latent", "from pyqtgraph import mkPen", "pyqtgraph outside gui"),
        ("cli", "def f():\n    from PySide6.QtCore import Qt", "line 2: PySide6.QtCore outside gui"),
        ("cli", "import importlib\nimportlib.import_module('shiboken6')", "line 2: shiboken6 outside gui"),
        ("models", "from vae_explorer.training.events import Started", "models may not import training"),
        ("models", "from vae_explorer import training", "models may not import training"),
        ("models", "import vae_explorer.datasets.idx", "models may not import datasets"),
        ("training", "from vae_explorer.latent import views", "training may not import latent"),
        ("training", "from vae_explorer.evaluation.bounds import x", "training may not import evaluation"),
        ("evaluation", "if TYPE_CHECKING:\n    import vae_explorer.runs", "evaluation may not import runs"),
        ("runs", "from vae_explorer.export.images import x", "runs may not import export"),
        ("export", "from vae_explorer.gui import theme", "export may not import gui"),
        ("gui", "from vae_explorer.cli import main", "gui may not import cli"),
        ("errors", "import vae_explorer.config", "errors may not import config"),
        ("config", "from . import errors", "relative import of None"),
        ("__init__", "from vae_explorer.runs import x", "__init__ may not import runs"),
        ("runs", "from vae_explorer.notebook import train", "runs may not import notebook"),
        ("doctor", "from vae_explorer import notebook", "doctor may not import notebook"),
        ("runs", "from urllib.request import urlopen", "urllib.request reaches for the network"),
        ("datasets", "def f():\n    import http.client", "line 2: http.client reaches for the network"),
        ("models", "from torch.hub import load", "torch.hub reaches for the network"),
        ("gui", "from PySide6.QtNetwork import QTcpSocket", "PySide6.QtNetwork reaches for the network"),
        ("runs", "import socket\nsocket.create_connection(('a', 1))", "line 2: socket.create_connection"),
        ("runs", "from socket import gethostname, socket", "line 1: socket.socket"),
        ("runs", "import vae_explorer.somewhere", "somewhere has no row in the house"),
    ],
)
def test_the_fence_bites(part, source, breach):
    found = breaches(part, source)
    assert len(found) == 1
    assert breach in found[0]


def test_the_fence_lets_through_what_is_allowed():
    source = "import torch\nfrom vae_explorer import __version__\nfrom vae_explorer.models.vae import VAE\n"
    assert breaches("training", source) == []
    assert breaches("gui", source + "from PySide6.QtCore import Qt\nimport vae_explorer.gui.theme") == []
    assert breaches("__init__", "from vae_explorer import notebook") == []
    assert breaches("cli", source + "from vae_explorer.gui import application\nimport vae_explorer.cli_train") == []


@pytest.mark.parametrize("binding", ["PySide6", "pyqtgraph", "shiboken6"])
@pytest.mark.parametrize(("file", "banned"), [("vae_explorer/models/m.py", True), ("vae_explorer/gui/m.py", False)])
def test_the_linter_bans_qt_outside_gui(binding, file, banned):
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--select",
            "TID251",
            "--no-cache",
            "--stdin-filename",
            file,
            "-",
        ],
        cwd=ROOT,
        input=f"import {binding}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("TID251" in checked.stdout) is banned, checked.stdout + checked.stderr


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that runs the code on the source tree, without a display."""
    environment = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def loaded_after(code: str) -> set[str]:
    """The top-level packages that are loaded after the code has run in a fresh interpreter."""
    packages = "sorted({name.split('.')[0] for name in sys.modules})"
    ran = python(f"{code}\nimport json, sys\nprint(json.dumps({packages}), file=sys.stderr)")
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stderr.splitlines()[-1]))


def test_no_module_outside_gui_loads_qt():
    names = [
        ".".join(["vae_explorer", *module.with_suffix("").parts]).removesuffix(".__init__")
        for module in MODULES
        if part_of(module) not in ("gui", "__main__")
    ]
    loaded = loaded_after("".join(f"import {name}\n" for name in names))
    assert "torch" in loaded  # the modules really were imported
    assert not loaded & {"PySide6", "pyqtgraph", "shiboken6"}


def test_what_comes_before_the_first_paint_loads_no_torch():
    loaded = loaded_after("".join(f"import vae_explorer.{name}\n" for name in WITHOUT_TORCH))
    assert not loaded & {"torch", "torchvision", "PySide6"}


def test_the_package_loads_nothing_heavy_until_its_words_are_used():
    looked_at = "import vae_explorer as vx\ndir(vx), vx.__version__, hasattr(vx, 'nothing')"
    assert not loaded_after(looked_at) & {"torch", "numpy", "torchvision", "PySide6"}
    assert "torch" in loaded_after(looked_at + "\nvx.open_run")


def test_a_forbidden_load_is_seen():
    assert {"torch", "PySide6"} <= loaded_after("import torch, PySide6.QtCore")


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["models"], ["datasets", "--json"], ["runs"]])
def test_help_and_lists_load_neither_torch_nor_qt(arguments):
    loaded = loaded_after(
        f"from vae_explorer.cli import main\ntry:\n    main({arguments})\nexcept SystemExit:\n    pass"
    )
    assert not loaded & {"torch", "torchvision", "PySide6", "pyqtgraph", "shiboken6"}


WITHOUT_PYSIDE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("PySide6", "shiboken6", "pyqtgraph"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
WITHOUT_EGL = """
import ctypes
really_load = ctypes.CDLL
def load(name, *rest, **options):
    if name == "libEGL.so.1":
        raise OSError("libEGL.so.1: cannot open shared object file: No such file or directory")
    return really_load(name, *rest, **options)
ctypes.CDLL = load
"""
RUN = "\nimport sys\nfrom vae_explorer.cli import main\nsys.exit(main(sys.argv[1:]))"
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the pre-flight looks at Linux displays")


@pytest.mark.parametrize("lack", [WITHOUT_PYSIDE, WITHOUT_EGL], ids=["no PySide6", "no libEGL"])
@pytest.mark.parametrize("arguments", [["--help"], ["models", "--json"], ["datasets"], ["measures"]])
def test_the_command_line_runs_where_qt_cannot(lack, arguments):
    ran = python(lack + RUN, *arguments)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout
    assert ran.stderr == ""


def test_training_runs_where_qt_cannot(tmp_path):
    settings = ["training.epochs=1", "data.heldout_images=59000", "training.device=cpu"]
    chosen = [argument for setting in settings for argument in ("--set", setting)]
    ran = python(WITHOUT_PYSIDE + WITHOUT_EGL + RUN, "train", "--json", "--run-dir", str(tmp_path / "run"), *chosen)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1])["event"] == "finished"
    assert (tmp_path / "run" / "run.toml").is_file()


@on_linux
@pytest.mark.parametrize(
    ("lack", "sentence"),
    [
        (WITHOUT_PYSIDE, "The window needs the Python package PySide6-Essentials"),
        (WITHOUT_EGL, "sudo apt-get install libegl1"),
        ("", "neither DISPLAY nor WAYLAND_DISPLAY names one"),
    ],
    ids=["no PySide6", "no libEGL", "no display"],
)
def test_a_window_that_cannot_open_says_so_in_a_sentence_and_exits_with_3(lack, sentence):
    ran = python(lack + RUN)
    assert ran.returncode == 3, ran.stderr
    assert sentence in ran.stderr
    assert ran.stdout == ""
    assert not re.search(r"Traceback|Aborted|core dumped|qt\.qpa", ran.stderr)
    assert len(ran.stderr.strip().splitlines()) <= 2  # what, and what to do
