from __future__ import annotations

from pathlib import Path

import pytest

from vae_explorer.datasets.idx import read_idx
from vae_explorer.errors import FileError
from vae_explorer.resource_files import resource_path, resources_folder

ROOT = Path(__file__).resolve().parents[1]


def test_the_source_tree_has_its_resources_beside_the_package():
    assert resources_folder() == ROOT / "resources"
    assert resource_path("datasets", "mnist").is_dir()


def test_an_installed_package_has_its_resources_inside(tmp_path):
    package = tmp_path / "site-packages" / "vae_explorer"
    (package / "_resources").mkdir(parents=True)
    (tmp_path / "site-packages" / "resources").mkdir()  # somebody else's
    assert resources_folder(package) == package / "_resources"


def test_an_installation_without_resources_says_what_to_do(tmp_path):
    with pytest.raises(FileError, match="missing") as caught:
        resources_folder(tmp_path / "vae_explorer")
    assert "Install" in caught.value.hint


def test_a_shipped_file_that_is_gone_is_named():
    with pytest.raises(FileError, match="no-such-set"):
        resource_path("datasets", "no-such-set")


def test_mnist_is_shipped_with_credit_and_licence():
    folder = resource_path("datasets", "mnist")
    words = (folder / "README.md").read_text(encoding="utf-8")
    assert "CC BY-SA 3.0" in words
    assert all(name in words for name in ("LeCun", "Cortes", "Burges"))
    for prefix, num in (("train", 60_000), ("t10k", 10_000)):
        assert read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz").shape == (num,)
