"""Sources too large to be looked at as a whole: only an even part is encoded before training."""

from __future__ import annotations

import pytest
import torch

from tests.tiny_runs import make_trainer, register_tiny, tiny_config
from vae_explorer.datasets.image_dataset import load_dataset
from vae_explorer.evaluation import images
from vae_explorer.training import heldout
from vae_explorer.training.control import Control
from vae_explorer.training.events import SnapshotTaken


def test_items_that_were_never_encoded_have_no_code(tiny_images, monkeypatch: pytest.MonkeyPatch) -> None:
    register_tiny(monkeypatch, tiny_images)
    monkeypatch.setattr(heldout, "MOST_ENCODED", 100)
    trainer = make_trainer(tiny_config(epochs=1))
    snapshot = trainer.encoded_snapshot()
    assert snapshot.codes_ND is not None
    known = torch.isfinite(snapshot.codes_ND).all(1)
    assert known.nonzero().flatten().tolist() == list(range(0, 240, 3))
    # Training visits the others.
    for event in trainer.run(Control()):
        del event
    after = trainer.snapshot()
    assert after.codes_ND is not None
    assert torch.isfinite(after.codes_ND[trainer.dataset.train_index_N]).all()


def test_a_run_shows_codes_only_of_items_it_has_seen(tiny_images, monkeypatch: pytest.MonkeyPatch) -> None:
    register_tiny(monkeypatch, tiny_images)
    trainer = make_trainer(tiny_config(epochs=1))
    control = Control()
    control.want_snapshot()
    taken = next(event for event in trainer.run(control) if isinstance(event, SnapshotTaken)).snapshot
    assert taken.codes_ND is not None
    known = set(torch.isfinite(taken.codes_ND).all(1).nonzero().flatten().tolist())
    seen = trainer.order.permutation_N[: trainer.order.position].tolist()
    assert known == {*seen, *trainer.dataset.heldout_index_N.tolist()}


def test_of_a_split_that_is_too_large_an_even_part_is_scored(tiny_images, monkeypatch: pytest.MonkeyPatch) -> None:
    register_tiny(monkeypatch, tiny_images)
    monkeypatch.setattr(images, "MOST_SCORED", 60)
    whole = load_dataset("tiny", 40)
    scored = images.load_scored_images("tiny", 40, "grey", "train")
    assert scored.num_images == 50
    assert torch.equal(scored.stored_NCHW, whole.images.gather(whole.train_index_N[::4]))
    assert images.load_scored_images("tiny", 40, "grey", "heldout").num_images == 40
