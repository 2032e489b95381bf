"""VAE Explorer: train variational autoencoders and explore their latent space while they train.

Importing this package loads neither torch nor Qt. Shape letters used throughout: B batch, N items, C
channels, H height, W width, D latent dimensions, S importance samples, K codes or classes, L levels.
"""

from __future__ import annotations

import os

__version__ = "0.1.0"

# torch's OpenMP threads wait for each other by spinning. On cores that others use too (a window, another run) that is
# ruin: with two threads and a busy machine training was measured at 600 to 1,000 images/s, waiting passively at 8,000
# to 15,000. OpenMP reads this once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
