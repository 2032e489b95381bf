"""Made-up news of a training, for tests of what draws them."""

from __future__ import annotations

import numpy as np

from vae_explorer.gui.session import Session
from vae_explorer.training.events import MetricsChunk, SettingChanged, Started, Validated

COLUMNS = ("elbo", "reconstruction", "kl", "beta", "learning_rate", "gradient_norm")
BATCH = 128


def begin(session: Session) -> None:
    session.learn(
        Started(
            config=session.config,
            run_name="run",
            device="cpu",
            device_name="CPU",
            precision="float32",
            num_threads=1,
            num_parameters=10,
            effective_beta=1.0,
            num_train=1000,
            num_heldout=100,
            steps_per_epoch=10,
            total_steps=1000,
            start_step=0,
        )
    )


def train(session: Session, first: int, num: int, value: float | None = None) -> None:
    """Steps `first` + 1 to `first` + `num`; a falling noisy loss, or the same `value` everywhere."""
    random = np.random.default_rng(first)
    steps = np.arange(first + 1, first + num + 1)
    reconstruction = 140 + 300 * np.exp(-steps / 50) + random.normal(size=num)
    kl = 6 * (1 - np.exp(-steps / 80)) + 0.1 * random.normal(size=num)
    columns = [-(reconstruction + kl), reconstruction, kl, np.ones(num), np.full(num, 1e-3), np.ones(num)]
    values = np.stack(columns, axis=1)
    if value is not None:
        values[:, :3] = value
    last = int(steps[-1])
    session.learn(
        MetricsChunk(
            step=last,
            epoch=last / 10,
            images_seen=last * BATCH,
            seconds=last * 0.01,
            images_per_second=12_800.0,
            columns=COLUMNS,
            values=values,
            steps=steps,
            kl_D=np.array([3.0, 0.001]),
        )
    )
    session.history_changed.emit()


def validate(session: Session, step: int, value: float = 150.0, active_units: int = 2) -> None:
    terms = {"elbo": -value, "reconstruction": value - 5, "kl": 5.0}
    terms |= {"mutual_information": 2.5, "total_correlation": 0.5, "dimension_wise_kl": 2.0}
    session.learn(
        Validated(
            step=step,
            epoch=step / 10,
            images_seen=step * BATCH,
            seconds=step * 0.01,
            terms=terms,
            kl_D=np.array([3.0, 2.0]),
            active_units=active_units,
            num_images=100,
        )
    )


def mark(session: Session, step: int, new: float) -> None:
    session.learn(
        SettingChanged(path="model.beta", old=1.0, new=new, step=step, images_seen=step * BATCH, seconds=step * 0.01)
    )
