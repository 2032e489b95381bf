"""Settings of the observation model, shared by every model whose decoder gives a likelihood; free of torch.

The protocol decides the likelihood; these say how its noise is had, and each acts under one protocol only.
"""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.config import setting

VARIANCES = ("learned", "optimal", "fixed", "per-pixel")


@dataclass(frozen=True, kw_only=True)
class ObservationConfig:
    """How p(x|z) spreads about its mean."""

    gaussian_variance: str = setting(
        "learned", label="Gaussian variance", choices=VARIANCES, advanced=True, formula="p(x|z) = N(f(z), σ² I)",
        help="Under the protocol gaussian: one learned sigma, the one that is best for each batch, a fixed one, or one "
             "a pixel from the decoder. Learned and optimal stay above e⁻⁶, per-pixel ones between e⁻⁴ and e^1.5.",
    )  # fmt: skip
    gaussian_sigma: float = setting(
        0.70710678, label="Gaussian sigma", minimum=1e-3, maximum=1e3, advanced=True, logarithmic=True, formula="σ",
        help="Under the protocol gaussian: the fixed sigma, or where a learned one starts. At √½ the loss is the plain "
             "sum of squared errors, which on pictures in [0, 1] weighs the KL like a large beta.",
    )  # fmt: skip
    gaussian_mean: str = setting(
        "sigmoid", label="Gaussian mean", choices=("sigmoid", "linear"), advanced=True,
        help="Under the protocol gaussian: whether pictures pass a sigmoid, which keeps them in [0, 1]. Points of the "
             "plane never do.",
    )  # fmt: skip
    logistic_components: int = setting(
        1, label="Logistic components", minimum=1, maximum=20, advanced=True,
        formula="P(x|z) = Σ_k w_k [σ((x + ½ − m_k)/s_k) − σ((x − ½ − m_k)/s_k)]",
        help="Under the protocol discrete: how many logistic densities are mixed for a grey level. More can say that a "
             "pixel is black or white and nothing between.",
    )  # fmt: skip
