from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from vae_explorer import doctor
from vae_explorer.doctor import (
    SYSTEM_LIBRARIES,
    Diagnosis,
    Finding,
    SystemLibrary,
    diagnose,
    display_problem,
    format_diagnosis,
    install_command,
    missing_system_libraries,
    to_json,
)

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at Linux libraries and displays")
IMAGINED = SystemLibrary("libimagined.so.7", "libimagined7", "any window")


@pytest.fixture
def x_display(monkeypatch) -> Iterator[str]:
    """An X server that answers, on a number of its own choice."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "640x480x24"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    monkeypatch.setattr(doctor, "_x_connections", {})
    with server:
        yield f":{server.stdout.readline().strip()}"
        server.terminate()


@pytest.fixture
def libegl_missing(monkeypatch):
    monkeypatch.setattr(doctor, "_loads", lambda file: file != "libEGL.so.1")


def test_a_library_that_cannot_be_loaded_is_missing():
    assert missing_system_libraries((IMAGINED,)) == (IMAGINED,)
    assert missing_system_libraries((SystemLibrary("libc.so.6", "libc6", "any window"),)) == ()


def test_each_library_and_each_package_is_listed_once():
    assert len({library.file for library in SYSTEM_LIBRARIES}) == len(SYSTEM_LIBRARIES)
    assert len({library.package for library in SYSTEM_LIBRARIES}) == len(SYSTEM_LIBRARIES)


def test_the_line_to_install_names_just_the_packages_given():
    assert install_command((IMAGINED,)) == "sudo apt-get install libimagined7"
    assert install_command().split()[3:] == sorted(library.package for library in SYSTEM_LIBRARIES)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "neither DISPLAY nor WAYLAND_DISPLAY names one"),
        ({"DISPLAY": ""}, "neither DISPLAY nor WAYLAND_DISPLAY names one"),
        ({"QT_QPA_PLATFORM": "xcb"}, "neither DISPLAY nor WAYLAND_DISPLAY names one"),
        ({"QT_QPA_PLATFORM": "wayland", "DISPLAY": ":1"}, "neither DISPLAY nor WAYLAND_DISPLAY names one"),
        ({"DISPLAY": ":4711"}, "The display :4711 does not answer"),
        ({"DISPLAY": "no display at all"}, "The display no display at all does not answer"),
        (
            {"WAYLAND_DISPLAY": "wayland-9", "XDG_RUNTIME_DIR": "/nowhere"},
            "The display wayland-9 does not answer",
        ),
    ],
)
def test_a_display_that_is_not_there_is_a_problem_of_the_machine(environment, message):
    problem = display_problem(environment)
    assert problem is not None
    assert message in problem.message
    assert problem.hint
    assert problem.exit_status == 3


@pytest.mark.parametrize("platform", ["offscreen", "minimal", "offscreen:size=800x600", "vnc"])
def test_a_platform_without_a_display_needs_none(platform):
    assert display_problem({"QT_QPA_PLATFORM": platform}) is None


def test_a_display_that_answers_is_no_problem(x_display):
    assert display_problem({"DISPLAY": x_display}) is None
    assert display_problem({"DISPLAY": x_display, "QT_QPA_PLATFORM": "xcb"}) is None
    # Qt takes the one that answers.
    assert display_problem({"DISPLAY": x_display, "WAYLAND_DISPLAY": "wayland-9"}) is None


def test_asking_a_display_does_not_keep_qt_from_it(x_display):
    """A server without other clients resets itself when the last one leaves, and refuses connections meanwhile."""
    for _ in range(5):
        assert display_problem({"DISPLAY": x_display}) is None
        assert doctor._try_qt({**os.environ, "DISPLAY": x_display, "QT_QPA_PLATFORM": "xcb"})["platform"] == "xcb"


@pytest.mark.usefixtures("libegl_missing")
def test_a_missing_library_is_named_with_its_package_before_the_display_is():
    for environment in ({}, {"QT_QPA_PLATFORM": "offscreen"}, {"DISPLAY": ":0"}):
        problem = display_problem(environment)
        assert "libEGL.so.1" in problem.message
        assert problem.hint == "Install them with: sudo apt-get install libegl1"


def test_only_the_libraries_of_the_display_at_hand_are_needed(monkeypatch):
    monkeypatch.setattr(doctor, "_loads", lambda file: file != "libxcb-cursor.so.0")
    assert display_problem({"QT_QPA_PLATFORM": "offscreen"}) is None
    assert "libxcb-cursor0" in display_problem({"DISPLAY": ":4711"}).hint


@pytest.mark.parametrize("module", ["PySide6", "pyqtgraph"])
def test_a_missing_python_package_is_named(monkeypatch, module):
    monkeypatch.setattr(doctor, "_is_installed", lambda name: name != module)
    problem = display_problem({"QT_QPA_PLATFORM": "offscreen"})
    assert module in problem.message
    assert "pip install" in problem.hint


def test_a_healthy_machine_is_diagnosed_as_such():
    diagnosis = diagnose()
    topics = [finding.topic for finding in diagnosis.findings]
    assert diagnosis.ok, format_diagnosis(diagnosis)
    for topic in (
        "VAE Explorer",
        "Python",
        "torch",
        "device cuda",
        "device cpu",
        "auto",
        "system libraries",
        "Qt",
    ):
        assert topics.count(topic) == 1
    assert "platform offscreen" in diagnosis.findings[-1].text
    assert json.loads(json.dumps(to_json(diagnosis)))["ok"] is True


def test_without_a_display_qt_is_tried_offscreen_and_the_machine_is_still_well(monkeypatch):
    monkeypatch.delenv("QT_QPA_PLATFORM")
    window, qt = doctor._qt_findings()
    assert (window.state, qt.state) == ("note", "ok")
    assert "platform offscreen" in qt.text


@pytest.mark.usefixtures("libegl_missing")
def test_a_missing_library_is_a_problem_in_the_diagnosis():
    findings = [*doctor._library_findings(), *doctor._qt_findings()]
    assert [finding.state for finding in findings] == ["problem", "problem"]
    assert findings[0].hint == "sudo apt-get install libegl1"


def test_qt_that_aborts_is_reported_and_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QT_QPA_PLATFORM", "imagined")
    (finding,) = doctor._qt_findings()
    assert finding.state == "problem"
    assert "does not start" in finding.text
    assert list(tmp_path.iterdir()) == []


def test_a_torch_that_cannot_be_loaded_is_a_problem(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (finding,) = doctor._torch_findings()
    assert (finding.topic, finding.state) == ("torch", "problem")
    assert "pip install" in finding.hint


def test_a_torchvision_that_cannot_be_loaded_costs_only_itself(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    finding = doctor._torch_findings()[-1]
    assert (finding.topic, finding.state) == ("torchvision", "note")


def test_the_text_shows_every_finding_its_hint_and_the_verdict():
    findings = (Finding("torch", "ok", "2.9"), Finding("Qt", "problem", "absent", "pip install it"))
    text = format_diagnosis(Diagnosis(findings))
    assert text.splitlines()[:3] == [
        "[ ok ] torch  2.9",
        "[MISS] Qt     absent",
        "              pip install it",
    ]
    assert "missing" in text.splitlines()[-1]
    assert format_diagnosis(Diagnosis(findings[:1])).endswith("Everything needed is here.")
