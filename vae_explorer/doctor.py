"""What this machine has and what it lacks, in words a person can act on.

Needs nothing but Python to be imported. Qt is tried in a child of its own: it aborts where a library or the
display is missing, and that must not end the program that asks.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from vae_explorer import __version__
from vae_explorer.errors import MachineError, UserError
from vae_explorer.runs import files

_CHILD_SECONDS = 30.0
_QT_REQUIREMENT = "'PySide6-Essentials>=6.10.3,<6.12'"
_COMMANDS_WORK = "the commands listed by vae-explorer --help work without it."
_QT_TRIAL = """
import json
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # leave no core file where Qt aborts
except ImportError:
    pass
from PySide6 import QtCore, QtGui
app = QtGui.QGuiApplication([])
sizes = [f"{s.size().width()} x {s.size().height()}" for s in app.screens()]
print(json.dumps({"platform": app.platformName(), "qt": QtCore.qVersion(), "screens": sizes}))
"""


@dataclass(frozen=True, slots=True)
class SystemLibrary:
    """A shared library that Qt loads and the Debian or Ubuntu package that brings it.

    Only what no other package of the list already depends on is listed. `needed_for` is `any window`, also
    one that is never shown, or the kind of display that needs it.
    """

    file: str
    package: str
    needed_for: Literal["any window", "X11", "Wayland"]


# From the NEEDED entries of Qt's libraries and platform plugins as shipped in PySide6-Essentials 6.11.
SYSTEM_LIBRARIES = (
    SystemLibrary("libdbus-1.so.3", "libdbus-1-3", "any window"),
    SystemLibrary("libEGL.so.1", "libegl1", "any window"),
    SystemLibrary("libfontconfig.so.1", "libfontconfig1", "any window"),
    SystemLibrary("libGL.so.1", "libgl1", "any window"),
    SystemLibrary("libglib-2.0.so.0", "libglib2.0-0", "any window"),
    SystemLibrary("libxkbcommon.so.0", "libxkbcommon0", "any window"),
    SystemLibrary("libX11-xcb.so.1", "libx11-xcb1", "X11"),
    SystemLibrary("libxcb-cursor.so.0", "libxcb-cursor0", "X11"),
    SystemLibrary("libxcb-icccm.so.4", "libxcb-icccm4", "X11"),
    SystemLibrary("libxcb-keysyms.so.1", "libxcb-keysyms1", "X11"),
    SystemLibrary("libxcb-randr.so.0", "libxcb-randr0", "X11"),
    SystemLibrary("libxcb-shape.so.0", "libxcb-shape0", "X11"),
    SystemLibrary("libxcb-sync.so.1", "libxcb-sync1", "X11"),
    SystemLibrary("libxcb-xfixes.so.0", "libxcb-xfixes0", "X11"),
    SystemLibrary("libxkbcommon-x11.so.0", "libxkbcommon-x11-0", "X11"),
    SystemLibrary("libwayland-cursor.so.0", "libwayland-cursor0", "Wayland"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: `ok`, worth a `note`, or a `problem`; `hint` says what to do about it."""

    topic: str
    state: Literal["ok", "note", "problem"]
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings, in the order in which they are shown."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing the product needs is missing; a machine without a display can be ok."""
        return all(finding.state != "problem" for finding in self.findings)


def diagnose() -> Diagnosis:
    """Look at everything; takes a few seconds, because torch and Qt are loaded to see whether they work."""
    return Diagnosis(
        (
            Finding("VAE Explorer", "ok", f"{__version__} at {Path(__file__).resolve().parent}"),
            Finding("Python", "ok", f"{platform.python_version()} on {platform.platform()}"),
            *_torch_findings(),
            *_library_findings(),
            *_qt_findings(),
        )
    )


def missing_system_libraries(
    libraries: tuple[SystemLibrary, ...] = SYSTEM_LIBRARIES,
) -> tuple[SystemLibrary, ...]:
    """Those of the libraries that cannot be loaded here, alone or for want of another; none outside Linux."""
    if not sys.platform.startswith("linux"):
        return ()
    return tuple(library for library in libraries if not _loads(library.file))


def install_command(libraries: tuple[SystemLibrary, ...] = SYSTEM_LIBRARIES) -> str:
    """The line that installs these libraries on Debian or Ubuntu; by default all that Qt needs."""
    return "sudo apt-get install " + " ".join(sorted(library.package for library in libraries))


def display_problem(environment: Mapping[str, str] | None = None) -> MachineError | None:
    """Why no window can be opened here, or None; asked before Qt is imported, because Qt would abort.

    Looks at the Python packages, the system libraries of the display at hand, and whether that display
    answers. Takes some milliseconds; `environment` is `os.environ` by default.
    """
    environment = os.environ if environment is None else environment
    for module, package in (("PySide6", "PySide6-Essentials"), ("pyqtgraph", "pyqtgraph")):
        if not _is_installed(module):
            return MachineError(
                f"The window needs the Python package {package}, which is not installed.",
                f"Install it with pip install {_QT_REQUIREMENT} pyqtgraph; {_COMMANDS_WORK}",
            )
    if not sys.platform.startswith("linux"):
        return None
    displays = _displays(environment)
    kinds = {"any window", *displays}
    missing = missing_system_libraries(tuple(lib for lib in SYSTEM_LIBRARIES if lib.needed_for in kinds))
    if missing:
        return MachineError(
            f"The window needs system libraries that this machine does not have: {_names(missing)}.",
            f"Install them with: {install_command(missing)}",
        )
    wanted = environment.get("QT_QPA_PLATFORM", "")
    if wanted and not wanted.startswith(("xcb", "wayland")):
        return None
    if not displays:
        return MachineError(
            "The window needs a display, and neither DISPLAY nor WAYLAND_DISPLAY names one.",
            f"Start it on a desktop, over ssh -X or under xvfb-run; {_COMMANDS_WORK}",
        )
    if not any(_answers(kind, environment) for kind in displays):
        return MachineError(
            f"The display {' or '.join(displays.values())} does not answer.",
            "Check DISPLAY and the permission to use it, or start under xvfb-run.",
        )
    return None


def format_diagnosis(diagnosis: Diagnosis) -> str:
    """The findings as lines of text, hints below what they are for."""
    marks = {"ok": " ok ", "note": "note", "problem": "MISS"}
    width = max(len(finding.topic) for finding in diagnosis.findings)
    lines = []
    for finding in diagnosis.findings:
        lines.append(f"[{marks[finding.state]}] {finding.topic:{width}}  {finding.text}")
        if finding.hint:
            lines.append(f"{'':{width + 9}}{finding.hint}")
    verdict = "Everything needed is here." if diagnosis.ok else "Something is missing: see the lines marked MISS."
    return "\n".join([*lines, "", verdict])


def to_json(diagnosis: Diagnosis) -> dict[str, object]:
    """The diagnosis as an object that JSON can hold: `ok` and the list of `findings`."""
    return {"ok": diagnosis.ok, "findings": [asdict(finding) for finding in diagnosis.findings]}


def _torch_findings() -> list[Finding]:
    try:
        import torch
    except (ImportError, OSError) as error:
        return [
            Finding(
                "torch",
                "problem",
                f"cannot be loaded ({_first_line(error)})",
                "pip install torch torchvision",
            )
        ]
    from vae_explorer.training.hardware import choose_device, choose_precision, device_title

    findings = [Finding("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} CPU threads")]
    for kind in ("cuda", "mps", "cpu"):
        try:
            device = choose_device(kind)
            findings.append(Finding(f"device {kind}", "ok", device_title(device)))
        except UserError:
            findings.append(Finding(f"device {kind}", "note", "none that torch can use"))
        except RuntimeError as error:
            hint = "Update the driver, or train with --device cpu."
            findings.append(Finding(f"device {kind}", "problem", f"does not work ({_first_line(error)})", hint))
            return findings
    chosen = choose_device("auto")
    precision = str(choose_precision("auto", chosen)).removeprefix("torch.")
    reason = "the faster of the two" if precision == "bfloat16" else "bfloat16 brings nothing here"
    findings.append(Finding("auto", "ok", f"trains on {chosen.type} in {precision} ({reason})"))
    try:
        findings.append(Finding("torchvision", "ok", importlib.import_module("torchvision").__version__))
    except (ImportError, OSError, RuntimeError) as error:
        hint = "Only reading further public data sets needs it: pip install --force-reinstall torch torchvision"
        findings.append(Finding("torchvision", "note", f"cannot be loaded ({_first_line(error)})", hint))
    return findings


def _library_findings() -> list[Finding]:
    if not sys.platform.startswith("linux"):
        return []
    missing = missing_system_libraries()
    if not missing:
        return [Finding("system libraries", "ok", "all that Qt needs")]
    state: Literal["note", "problem"] = "problem"
    if all(library.needed_for == "Wayland" for library in missing) and "WAYLAND_DISPLAY" not in os.environ:
        state = "note"
    return [Finding("system libraries", state, f"missing: {_names(missing)}", install_command(missing))]


def _qt_findings() -> list[Finding]:
    try:
        version = importlib.metadata.version("PySide6-Essentials")
    except importlib.metadata.PackageNotFoundError:
        version = "of unknown version"
    problem = display_problem()
    environment = dict(os.environ)
    findings = []
    if problem is not None:
        no_display = _is_installed("PySide6") and not _displays(os.environ) and not missing_system_libraries()
        findings.append(Finding("window", "note" if no_display else "problem", problem.message, problem.hint))
        if not no_display:
            return findings
        environment["QT_QPA_PLATFORM"] = "offscreen"
    trial = _try_qt(environment)
    if isinstance(trial, str):
        return [
            *findings,
            Finding("Qt", "problem", f"PySide6 {version} does not start: {trial}", install_command()),
        ]
    text = f"PySide6 {version}, platform {trial['platform']}, screens {', '.join(trial['screens'])}"
    if version.startswith("6.12.") and sys.version_info < (3, 12):
        hint = f"pip install {_QT_REQUIREMENT}"
        return [
            *findings,
            Finding("Qt", "problem", f"{text}; this release aborts programs on Python 3.11", hint),
        ]
    return [*findings, Finding("Qt", "ok", text)]


def _try_qt(environment: Mapping[str, str]) -> dict[str, list[str]] | str:
    """What Qt says of itself, started in a child with that environment, or the line with which it failed."""
    try:
        child = subprocess.run(
            [sys.executable, "-c", _QT_TRIAL],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_CHILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_CHILD_SECONDS:.0f} s"
    if child.returncode != 0:
        lines = [line for line in child.stderr.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit status {child.returncode}"
    told: dict[str, list[str]] = json.loads(child.stdout)
    return told


def _displays(environment: Mapping[str, str]) -> dict[Literal["X11", "Wayland"], str]:
    """The displays that the environment names and Qt is not told to leave alone."""
    wanted = environment.get("QT_QPA_PLATFORM", "")
    if wanted and not wanted.startswith(("xcb", "wayland")):
        return {}
    displays: dict[Literal["X11", "Wayland"], str] = {}
    if environment.get("DISPLAY") and (not wanted or "xcb" in wanted):
        displays["X11"] = environment["DISPLAY"]
    if environment.get("WAYLAND_DISPLAY") and (not wanted or "wayland" in wanted):
        displays["Wayland"] = environment["WAYLAND_DISPLAY"]
    return displays


def _answers(kind: Literal["X11", "Wayland"], environment: Mapping[str, str]) -> bool:
    if kind == "Wayland":
        folder = Path(environment.get("XDG_RUNTIME_DIR", ""))
        return files.exists(folder / environment["WAYLAND_DISPLAY"])
    xcb = ctypes.CDLL("libxcb.so.1")
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connect.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    xcb.xcb_connection_has_error.argtypes = [ctypes.c_void_p]
    xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    display = environment["DISPLAY"]
    # Never null: a connection that failed is an object that says so, and is disconnected like any other.
    connection = _x_connections.pop(display, None) or xcb.xcb_connect(display.encode(), None)
    if xcb.xcb_connection_has_error(connection):
        xcb.xcb_disconnect(connection)
        return False
    _x_connections[display] = connection
    return True


# Connections stay open until the program ends: an X server without other clients, such as that of xvfb-run,
# resets itself when the last one leaves, and would refuse Qt's connection meanwhile.
_x_connections: dict[str, int] = {}


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _loads(file: str) -> bool:
    try:
        ctypes.CDLL(file)
    except OSError:
        return False
    return True


def _names(libraries: tuple[SystemLibrary, ...]) -> str:
    return ", ".join(library.file for library in libraries)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
