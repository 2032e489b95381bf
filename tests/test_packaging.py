"""The wheel, built once and installed into an empty environment: what is in it is found and works from
there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


def run(*command: object, folder: Path) -> str:
    """Standard output of a command run far from the source tree, so that nothing is found there by
    accident."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ran = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder of the programs of an environment that holds the wheel and borrows what it depends on."""
    folder = tmp_path_factory.mktemp("environment")
    builder = venv.EnvBuilder(with_pip=False, symlinks=True)
    builder.create(folder)
    context = builder.ensure_directories(folder)
    site_packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "installed_base": str(folder)}))
    # Only the folder is borrowed: an editable install of the source tree in it stays without effect.
    (site_packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        context.env_exe,
        "install",
        "--no-deps",
        "--no-index",
        "--quiet",
    )
    run(*pip, wheel, folder=folder)
    return Path(context.bin_path)


def test_the_wheel_holds_the_package_the_window_and_the_resources(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"vae_explorer/_resources/{path.relative_to(ROOT / 'resources')}" for path in resource_files()}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "vae_explorer").rglob("*.py")}
    assert "vae_explorer/gui/application.py" in names
    assert "vae_explorer/_resources/datasets/mnist/README.md" in names
    assert shipped | modules <= names
    assert not any(name.startswith("tests/") or "__pycache__" in name for name in names)


def resource_files() -> list[Path]:
    return [path for path in (ROOT / "resources").rglob("*") if path.is_file()]


def test_the_metadata_carries_licence_readme_and_the_range_of_pyside6(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = archive.read(name).decode()
    assert "License-Expression: MIT" in metadata
    assert "# VAE Explorer" in metadata
    assert "Requires-Dist: pyside6-essentials<6.12,>=6.10.3" in metadata.lower().replace(
        "requires-dist", "Requires-Dist"
    )


def test_the_installed_package_finds_its_own_resources(installed, tmp_path):
    code = (
        "import vae_explorer.resource_files as r; from pathlib import Path;"
        "print(r.__file__); print(r.resource_path('datasets', 'mnist', 'train-labels-idx1-ubyte.gz'))"
    )
    module, shipped = run(installed / "python", "-c", code, folder=tmp_path).splitlines()
    assert Path(module).is_relative_to(installed.parent)
    assert Path(shipped).is_relative_to(Path(module).parent / "_resources")


def test_the_installed_package_loads_its_data(installed, tmp_path):
    code = (
        "from vae_explorer.datasets.image_dataset import load_dataset;"
        "print(load_dataset('mnist', 5000).images.num_images)"
    )
    assert run(installed / "python", "-c", code, folder=tmp_path) == "60000\n"


def test_the_installed_command_runs(installed, tmp_path):
    first, *others = json.loads(run(installed / "vae-explorer", "datasets", "--json", folder=tmp_path))
    assert first["name"] == "mnist"
    assert "sprites" in {record["name"] for record in others}
    assert "first-map" in run(installed / "vae-explorer", "train", "--help", folder=tmp_path)


@pytest.mark.gui
def test_the_installed_window_can_be_made(installed, tmp_path):
    code = (
        "import shiboken6;"
        "from vae_explorer.gui.application import create_window;"
        "app, window = create_window([]); print(window.windowTitle());"
        "window.close(); shiboken6.delete(window)"  # before the application, as when a person closes it
    )
    assert "VAE Explorer" in run(installed / "python", "-c", code, folder=tmp_path)
