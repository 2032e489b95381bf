"""One report for every defect: exceptions in slots and threads, and Qt's own complaints.

A defect shows a window whose text can be copied; more of them join the same window. Nothing is sent anywhere.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from PySide6.QtCore import QMessageLogContext, QObject, Qt, QtMsgType, Signal, Slot, qInstallMessageHandler, qVersion
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from vae_explorer import __version__

_MAXIMUM_REPORTS = 20
_FATAL_LEVELS = frozenset({QtMsgType.QtCriticalMsg, QtMsgType.QtFatalMsg})


def environment_text() -> str:
    """The versions that a reader of a report needs."""
    packages = ("torch", "PySide6-Essentials", "pyqtgraph", "numpy")
    lines = [
        f"VAE Explorer {__version__}",
        f"Python {platform.python_version()} on {platform.platform()}",
        f"Qt {qVersion()}",
    ]
    for package in packages:
        try:
            lines.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{package} (not installed)")
    return "\n".join(lines)


class ErrorReportDialog(QDialog):
    """The text of what went wrong, to read and to copy. It blocks nothing."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.error_report")
        self.setWindowTitle("Error report")
        self.resize(720, 440)
        self._reports: list[str] = []
        self._repeats = 0
        self.heading = QLabel()
        self.heading.setWordWrap(True)
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setProperty("variant", "monospace")
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setAccessibleName("Error report")
        self.copy_button = QPushButton("Copy report")
        self.copy_button.setDefault(True)
        self.copy_button.setProperty("variant", "primary")
        self.copy_button.clicked.connect(self.copy)
        close_button = QPushButton("Close")
        close_button.setAutoDefault(False)
        close_button.clicked.connect(self.close)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(close_button)
        buttons.addWidget(self.copy_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(12)
        layout.addWidget(self.heading)
        layout.addWidget(self.text, 1)
        layout.addLayout(buttons)

    @property
    def num_reports(self) -> int:
        """How many different reports are shown."""
        return len(self._reports)

    def add(self, report: str) -> None:
        """Show a report; one that is shown already is only counted."""
        if report in self._reports or len(self._reports) >= _MAXIMUM_REPORTS:
            self._repeats += 1
        else:
            self._reports.append(report)
            self.text.setPlainText("\n\n".join([*self._reports, environment_text()]))
        repeated = f" It happened {self._repeats + 1} times." if self._repeats else ""
        self.heading.setText(
            "Something went wrong inside VAE Explorer. The window goes on working and the last checkpoint is kept."
            f"{repeated} Please copy the report and send it along."
        )

    @Slot()
    def copy(self) -> None:
        """Put the report on the clipboard."""
        QGuiApplication.clipboard().setText(self.text.toPlainText())
        self.copy_button.setText("Copied")


class ErrorReports(QObject):
    """Catches what nobody caught, from any thread, and shows it in the GUI thread.

    reported(str): a defect's text; emitted from whichever thread it happened in, received here.
    """

    reported = Signal(str)

    def __init__(self, parent_widget: QWidget) -> None:
        super().__init__(parent_widget)
        self._parent_widget = parent_widget
        self.dialog: ErrorReportDialog | None = None
        self.reports: list[str] = []
        self._previous: tuple[Any, ...] | None = None
        self.reported.connect(self.show_report, Qt.ConnectionType.AutoConnection)

    def install(self) -> None:
        """Take over the hooks of Python and Qt; the earlier ones are still called."""
        self._previous = (
            sys.excepthook,
            threading.excepthook,
            sys.unraisablehook,
            qInstallMessageHandler(self._qt_message),
        )
        sys.excepthook = self._exception
        threading.excepthook = self._thread_exception
        sys.unraisablehook = self._unraisable

    def uninstall(self) -> None:
        """Give the hooks back and take the report away."""
        if self.dialog is not None:
            self.dialog.close()
        if self._previous is None:
            return
        sys.excepthook, threading.excepthook, sys.unraisablehook, handler = self._previous
        qInstallMessageHandler(handler)
        self._previous = None

    @Slot(str)
    def show_report(self, report: str) -> None:
        """Show a defect in the one window for them."""
        self.reports.append(report)
        if self.dialog is None:
            self.dialog = ErrorReportDialog(self._parent_widget)
        self.dialog.add(report)
        self.dialog.show()

    def _exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            self._parent_widget.close()
            return
        lines = traceback.format_exception(kind, error, trace)
        if trace is None:
            # A slot that does not take what its signal gives fails before its first line: who emitted is all there is.
            emitting = traceback.format_list(traceback.extract_stack()[:-1])
            lines = [*lines, "Raised by the call of a slot, which was reached from:\n", *emitting]
        self.reported.emit("".join(lines))
        self._call_previous(0, kind, error, trace)

    def _thread_exception(self, hooked: threading.ExceptHookArgs) -> None:
        value = hooked.exc_value
        if value is None or isinstance(value, SystemExit):
            return
        name = hooked.thread.name if hooked.thread is not None else "unknown"
        self.reported.emit(f"In thread '{name}':\n" + "".join(traceback.format_exception(value)))
        self._call_previous(1, hooked)

    def _unraisable(self, hooked: Any) -> None:
        lines = [hooked.err_msg or "Exception ignored", f" in {hooked.object!r}\n"]
        if hooked.exc_value is not None:
            lines.extend(traceback.format_exception(hooked.exc_value))
        self.reported.emit("".join(lines))
        self._call_previous(2, hooked)

    def _qt_message(self, level: QtMsgType, context: QMessageLogContext, text: str) -> None:
        if level in _FATAL_LEVELS:
            self.reported.emit(f"Qt ({level.name}): {text}")
        previous = self._previous[3] if self._previous is not None else None
        if previous is not None:
            previous(level, context, text)
        elif level is not QtMsgType.QtDebugMsg and level is not QtMsgType.QtInfoMsg:
            print(f"Qt: {text}", file=sys.stderr)

    def _call_previous(self, index: int, *values: Any) -> None:
        if self._previous is not None:
            hook: Callable[..., object] = self._previous[index]
            hook(*values)
