"""R16: a training that runs out of memory ends with an offer, gives back what it held, and the next one works."""

from __future__ import annotations

import pytest
import torch
from pytestqt.qtbot import QtBot

from tests.allocated_memory import allocated_memory
from tests.conftest import Times
from tests.gui.conftest import WAIT_MS
from tests.gui.test_errors import finish, posted_by
from vae_explorer.gui.main_window import MainWindow
from vae_explorer.gui.session_words import State
from vae_explorer.training.trainer import Trainer

_HELD_BYTES = 64_000_000


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")],
)
def test_out_of_memory_offers_a_smaller_batch_and_the_next_run_works(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    messages = posted_by(window.session)
    with monkeypatch.context() as patch:

        def fail(*_args: object) -> object:
            raise error

        patch.setattr(Trainer, "validate", fail)
        window.commands.actions["action.train"].trigger()
        finish(qtbot, window, State.FAILED)
    assert messages[0].near == "training.batch_size"
    assert "12" in messages[0].hint
    assert window.error_reports.dialog is None, "a person can mend this: no report"
    window.session.edit("training.batch_size", 12)
    with qtbot.waitSignal(window.session.history_changed, timeout=WAIT_MS):
        window.commands.actions["action.train"].trigger()


def test_memory_is_back_after_each_time(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, times: Times
) -> None:
    """What a step had made when memory ran out is in no frame, traceback or message that is kept."""

    def fail(trainer: Trainer, *_: object) -> object:
        activations = torch.ones(_HELD_BYTES // 4)
        trainer.held_by_a_step = activations
        raise torch.OutOfMemoryError(f"CUDA out of memory beside {activations.numel()} numbers.")

    monkeypatch.setattr(Trainer, "validate", fail)
    after, messages = [], posted_by(window.session)
    for number in range(times(5, 50)):
        window.commands.actions["action.train"].trigger()
        finish(qtbot, window, State.FAILED)
        qtbot.waitUntil(lambda: window.session._training is None, timeout=WAIT_MS)
        assert [message.near for message in messages] == ["training.batch_size"] * (number + 1)
        after.append(allocated_memory())
    assert max(after) <= 1.05 * after[0]
    assert max(after) - after[0] < _HELD_BYTES / 4
