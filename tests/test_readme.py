"""What the README says is true: its commands exist, its tree is the tree, its libraries are the doctor's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from vae_explorer.doctor import install_command

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tree_folders() -> set[str]:
    """The folders that the README's tree shows, as paths from the root."""
    tree = README.split("## The house")[1].split("```")[1]
    stack: list[str] = []
    folders = set()
    for line in tree.splitlines():
        if match := re.match(r"( *)([\w-]+/)\s", line):
            stack[len(match[1]) // 4 :] = [match[2]]
            folders.add("".join(stack))
    return folders


def test_the_system_libraries_are_those_of_the_doctor():
    assert install_command() in README.splitlines()


def test_the_tree_shows_every_folder_and_only_what_is_there():
    shown = tree_folders()
    assert {folder for folder in shown if not (ROOT / folder).is_dir()} == set()
    packages = {f"{path.parent.relative_to(ROOT)}/" for path in (ROOT / "vae_explorer").rglob("*.py")}
    resources = {f"{path.relative_to(ROOT)}/" for path in (ROOT / "resources").iterdir() if path.is_dir()}
    assert packages | resources <= shown


def test_every_command_shown_exists(capsys):
    from vae_explorer.cli import main

    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    shown = set(re.findall(r"^vae-explorer ([\w-]+)", README, flags=re.MULTILINE))
    assert shown >= {"train", "evaluate", "sample", "models", "datasets", "measures", "doctor"}
    assert all(re.search(rf"^    {command} ", listed, flags=re.MULTILINE) for command in shown)


def test_every_file_linked_is_there():
    linked = re.findall(r"\]\(([^):]+)\)", README)
    assert linked
    assert [path for path in linked if not (ROOT / path).is_file()] == []


def test_ci_finds_the_line_that_the_readme_promises():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    pattern = re.search(r"grep -x '(.+)' README\.md", script)[1]
    found = subprocess.run(
        ["grep", "-x", pattern, ROOT / "README.md"], capture_output=True, text=True, check=True
    ).stdout
    assert found.splitlines() == [
        "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/python -m pytest"
    ]
