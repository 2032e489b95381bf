"""Protocols: how stored grey levels become what a model sees and is scored on.

A number is comparable only with numbers of the same protocol, so its name travels with every evaluated
number. This module is imported before torch is; the functions below import it when they are called.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from vae_explorer.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from vae_explorer.datasets.catalogue import Split

BINARISATION_SEED = 20131220
"""Seed of the one draw in which the test images of `dynamic` are binarised; stored with every result."""


STATIC_SEEDS = {"train": 20110409, "test": 20110410}
"""Seeds of the one draw in which the images of each split are binarised under `static`."""


@dataclass(frozen=True, slots=True)
class ProtocolRecord:
    """One protocol; `is_likelihood` is False where its score is no log-likelihood of the data."""

    name: str
    title: str
    summary: str
    reference: str
    is_likelihood: bool
    bound_note: str


PROTOCOLS: Registry[ProtocolRecord] = Registry("protocol")

PROTOCOLS.add(
    ProtocolRecord(
        name="grey",
        title="Grey levels",
        summary="Grey levels between 0 and 1 go into the Bernoulli cross-entropy as they are.",
        reference="The convention of the pytorch/examples VAE",
        is_likelihood=False,
        bound_note="A score, not a likelihood: the Bernoulli does not integrate to one over grey levels.",
    )
)
PROTOCOLS.add(
    ProtocolRecord(
        name="dynamic",
        title="Dynamic binarisation",
        summary="Each pixel is drawn as 0 or 1 with its grey level as the probability, anew at every visit.",
        reference="Burda, Grosse, Salakhutdinov: Importance Weighted Autoencoders, arXiv 1509.00519",
        is_likelihood=True,
        bound_note=f"Nats of binary images; test images are drawn once with seed {BINARISATION_SEED}.",
    )
)
PROTOCOLS.add(
    ProtocolRecord(
        name="static",
        title="Static binarisation",
        summary="Each pixel is drawn as 0 or 1 once, with its grey level as the probability, and never again.",
        reference="After Larochelle, Murray: The neural autoregressive distribution estimator, 2011",
        is_likelihood=True,
        bound_note=f"Nats of binary images drawn once, training with seed {STATIC_SEEDS['train']} and test with "
        f"{STATIC_SEEDS['test']}; not the published file of Larochelle and Murray.",
    )
)
PROTOCOLS.add(
    ProtocolRecord(
        name="threshold",
        title="Threshold",
        summary="Each pixel is 1 where its grey level is above one half, else 0.",
        reference="Common in tutorials; no published table uses it",
        is_likelihood=True,
        bound_note="Nats of binary images; easier than dynamic binarisation and comparable only with itself.",
    )
)
PROTOCOLS.add(
    ProtocolRecord(
        name="continuous-bernoulli",
        title="Continuous Bernoulli",
        summary="Grey levels between 0 and 1 under a density that integrates to one over them.",
        reference="Loaiza-Ganem, Cunningham: The continuous Bernoulli, arXiv 1907.06845",
        is_likelihood=True,
        bound_note="A density of grey levels in [0, 1], high where pixels never change; logits stay within ±510.",
    )
)
PROTOCOLS.add(
    ProtocolRecord(
        name="gaussian",
        title="Gaussian",
        summary="Grey levels divided by 255, or the points of a plane, as real numbers under a Gaussian density.",
        reference="Kingma, Welling: Auto-Encoding Variational Bayes, arXiv 1312.6114, Frey Face",
        is_likelihood=True,
        bound_note="A density, unbounded where the variance may vanish: its floor belongs to the number.",
    )
)
PROTOCOLS.add(
    ProtocolRecord(
        name="discrete",
        title="Discrete levels",
        summary="Whole grey levels from 0 to 255 under a probability of each.",
        reference="Salimans, Karpathy, Chen, Kingma: PixelCNN++, arXiv 1701.05517",
        is_likelihood=True,
        bound_note="A probability of whole grey levels; nats divided by pixels times ln 2 are bits a pixel.",
    )
)


def apply_protocol(name: str, images_BCHW: Tensor, noise: torch.Generator | Tensor | None = None) -> Tensor:
    """What the model sees: float32 of shape (B, C, H, W), from uint8 images in [0, 1], on their device.

    Points of the plane are float32 already and are only for `gaussian`, which leaves them as they are. Images of
    `static` are bits since they were loaded; a stranger's picture is binarised by the draw that `noise` is.

    `noise` is what `dynamic` draws with, and most others ignore: a generator that lives on that device, or a draw made
    before (`fixed_draw`). Raises UserError for a name that is not registered.
    """
    import torch

    from vae_explorer.draws import draw

    match PROTOCOLS[name].name:
        case "gaussian" if images_BCHW.is_floating_point():
            return images_BCHW
        case "grey" | "continuous-bernoulli" | "gaussian" | "discrete":
            return images_BCHW.to(torch.float32).div_(255)
        case "threshold":
            return (images_BCHW > 127).to(torch.float32)
        case "static" if not isinstance(noise, torch.Tensor):
            return (images_BCHW > 127).to(torch.float32)
        case _:
            # Bits of 0 and 255 are what they are under any draw.
            assert noise is not None, "the protocol 'dynamic' draws and needs a generator or a draw"
            # With r uniform over 0..254, P(r < level) is exactly level / 255; five times faster than
            # torch.bernoulli.
            if isinstance(noise, torch.Generator):
                levels = partial(torch.randint, 0, 255, dtype=torch.uint8, device=images_BCHW.device)
                noise = draw(levels, images_BCHW.shape, noise)
            return (noise < images_BCHW).to(torch.float32)


def fixed_draw(images_BCHW: Tensor, seed: int) -> Tensor:
    """One draw for every image, (1, C, H, W): what is only looked at must not change with the batch it comes in."""
    import torch

    generator = torch.Generator(device=images_BCHW.device).manual_seed(seed)
    shape = (1, *images_BCHW.shape[1:])
    return torch.randint(0, 255, shape, dtype=torch.uint8, device=images_BCHW.device, generator=generator)


def fixed_binarisation(images_NCHW: Tensor, seed: int = BINARISATION_SEED) -> Tensor:
    """The one binarisation on which `dynamic` is scored: float32 of 0 and 1, shape (N, C, H, W), on the
    images' device.

    `images_NCHW` are the uint8 images of a whole split in its order: the draw runs through them from the
    first on, so the first n of a split get the same bits whether or not the rest is there.
    """
    import numpy as np
    import torch

    # numpy promises that the stream of RandomState never changes, so results stay comparable over versions
    # and devices.
    draw = np.random.RandomState(seed).randint(0, 255, size=tuple(images_NCHW.shape), dtype=np.uint8)
    return (torch.from_numpy(draw).to(images_NCHW.device) < images_NCHW).to(torch.float32)


def static_binarisation(images_NCHW: np.ndarray, split: Split) -> np.ndarray:
    """The bits of a whole split under `static`: uint8 of 0 and 255, from uint8 images (N, C, H, W) in its order."""
    import numpy as np

    draw = np.random.RandomState(STATIC_SEEDS[split]).randint(0, 255, size=images_NCHW.shape, dtype=np.uint8)
    return np.where(draw < images_NCHW, np.uint8(255), np.uint8(0))
