"""The likelihood in closed form, beside the bounds that lie on it because the posterior is exact."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model_data import protocol_for
from tests.tiny_runs import tiny_config, train_tiny
from vae_explorer.evaluation.evaluate import evaluate
from vae_explorer.evaluation.images import load_scored_images
from vae_explorer.models.catalogue import MODELS
from vae_explorer.runs.checkpoint import model_from_run
from vae_explorer.training.run_config import with_value


@pytest.mark.parametrize("record", [record for record in MODELS if record.has_density], ids=lambda record: record.name)
def test_the_closed_form_is_iwae_with_one_sample_and_the_mean_of_the_elbo(record, tmp_path: Path) -> None:
    config = with_value(with_value(tiny_config(), "model.name", record.name), "data.protocol", protocol_for(record))
    run, _ = train_tiny(tmp_path / "run", config)
    model = model_from_run(run.path).model
    images = load_scored_images("tiny", 40, protocol_for(record), "test")
    nll, iwae = evaluate(model, record, images, measures=["nll", "iwae"], samples=1)
    assert nll.bound == "closed form"
    assert nll.value == pytest.approx(iwae.value, abs=1e-3)
    (many,) = evaluate(model, record, images, measures=["elbo"], samples=400)
    assert nll.value == pytest.approx(many.value, rel=0.01)
