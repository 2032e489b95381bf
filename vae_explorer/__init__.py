"""VAE Explorer: train variational autoencoders and explore their latent space while they train.

    import vae_explorer as vx

    run = vx.train("tutorial-2d")     run = vx.open_run("my-run")     codes = run.encode(images)

Importing this package loads neither torch nor Qt; the first of those words does (`notebook`). Shape letters used
throughout: B batch, N items, C channels, H height, W width, D latent dimensions, S importance samples, K codes or
classes, L levels.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vae_explorer.notebook import Run, open_run, train

__all__ = ["Run", "__version__", "open_run", "train"]
__version__ = "0.1.0"

# torch's OpenMP threads wait for each other by spinning. On cores that others use too (a window, another run) that is
# ruin: with two threads and a busy machine training was measured at 600 to 1,000 images/s, waiting passively at 8,000
# to 15,000. OpenMP reads this once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    if name in __all__:
        from vae_explorer import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'vae_explorer' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
