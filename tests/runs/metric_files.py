"""Text of metrics.csv as a run of many reports leaves it, without a run."""

from __future__ import annotations

import numpy as np

HEADER = (
    "step,epoch,images_seen,seconds,split,elbo,reconstruction,kl,mutual_information,total_correlation,"
    "dimension_wise_kl,beta,learning_rate,images_per_second,active_units,gradient_norm\n"
)
CHECK_EVERY = 50
"""Reports between two held-out checks."""


def metric_lines(num_rows: int, seed: int = 0, first_step: int = 12) -> list[str]:
    """The header and so many rows, every fiftieth of the held-out split."""
    random = np.random.default_rng(seed)
    lines = [HEADER]
    for row, noise in enumerate(random.normal(size=(num_rows, 5))):
        step, reconstruction, kl = first_step + 12 * row, 100 + 80 * np.exp(-row / 500) + noise[0], 20 + noise[1]
        place = f"{step},{step / 500:.7g},{step * 128},{row * 0.1:.7g}"
        terms = f"{-(reconstruction + kl):.7g},{reconstruction:.7g},{kl:.7g}"
        if row % CHECK_EVERY == CHECK_EVERY - 1:
            parts = ",".join(f"{value:.7g}" for value in noise[2:])
            lines.append(f"{place},heldout,{terms},{parts},,,,2,\n")
        else:
            rate = 1e-3 * (1 - row / (num_rows + 1))
            lines.append(f"{place},train,{terms},,,,1,{rate:.7g},{51_234.5 + noise[4]:.7g},,{12 + noise[3]:.7g}\n")
    return lines
