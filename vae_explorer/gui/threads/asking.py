"""Asking an exploring thread: one question a slot, its newest answer to a callback in the GUI thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt, Slot

if TYPE_CHECKING:
    from vae_explorer.gui.threads.exploring import ExplorerThread, Work


@dataclass(frozen=True)
class _Question:
    number: int
    on_answer: Callable[[Any], None]
    on_failure: Callable[[Exception], None] | None


class Asking(QObject):
    """Numbers the requests of all slots of one thread. Made and called in the GUI thread.

    Work that is a generator may answer several times. An answer to an overtaken or withdrawn question is never seen.
    """

    def __init__(self, thread: ExplorerThread) -> None:
        super().__init__(thread)
        self._thread = thread
        self._number = 0
        self._questions: dict[str, _Question] = {}
        thread.answered.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        thread.failed.connect(self._tell_failure, Qt.ConnectionType.QueuedConnection)

    def ask(
        self,
        slot: str,
        work: Work,
        on_answer: Callable[[Any], None],
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        """Ask on a slot in place of what was asked there before; both callbacks run in the GUI thread."""
        self._number += 1
        self._questions[slot] = _Question(self._number, on_answer, on_failure)
        self._thread.submit(slot, self._number, work)

    def withdraw(self, slot: str) -> None:
        """The answer is no longer wanted."""
        self._questions.pop(slot, None)
        self._thread.withdraw(slot)

    def is_open(self, slot: str) -> bool:
        """Whether something was asked on the slot and not withdrawn."""
        return slot in self._questions

    def close(self) -> None:
        """Forget every question: their callbacks belong to widgets that are going."""
        self._questions.clear()

    @Slot(str, int, object, int)
    def _deliver(self, slot: str, number: int, result: object, _stamp: int) -> None:
        question = self._questions.get(slot)
        if question is not None and number == question.number:
            question.on_answer(result)

    @Slot(str, int, object)
    def _tell_failure(self, slot: str, number: int, error: Exception) -> None:
        question = self._questions.get(slot)
        if question is not None and number == question.number and question.on_failure is not None:
            question.on_failure(error)
