"""The measures that there are, in the order of tables; free of torch."""

from __future__ import annotations

from vae_explorer.evaluation.record import Measure
from vae_explorer.registry import Registry

MEASURES: Registry[Measure] = Registry("measure")

_AEVB = "Kingma & Welling, Auto-Encoding Variational Bayes, arXiv:1312.6114"
_IWAE = "Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, arXiv:1509.00519"
_VQVAE = "van den Oord, Vinyals & Kavukcuoglu, Neural Discrete Representation Learning, arXiv:1711.00937"

MEASURES.add(
    Measure(
        name="elbo", title="-ELBO", unit="nats per image", better="lower", group="likelihood", reference=_AEVB,
        summary="Negative evidence lower bound at beta 1 with S posterior samples: reconstruction plus KL.",
        needs=frozenset({"likelihood", "prior"}), default_samples=1, take="vae_explorer.evaluation.bounds:elbo",
        cost="under a second for 10,000 images; grows with N x S",
    )
)  # fmt: skip
MEASURES.add(
    Measure(
        name="reconstruction", title="Reconstruction", unit="nats per image", better="lower", group="likelihood",
        summary="The part of -ELBO that says how well pictures come back: -E_q[log p(x|z)].", reference=_AEVB,
        needs=frozenset({"likelihood", "prior"}), default_samples=1,
        take="vae_explorer.evaluation.bounds:reconstruction", cost="free beside -ELBO",
    )
)  # fmt: skip
MEASURES.add(
    Measure(
        name="kl", title="KL", unit="nats per image", better="neither", group="likelihood", reference=_AEVB,
        summary="The part of -ELBO that says how much the code tells: KL(q(z|x) || p(z)).",
        needs=frozenset({"likelihood", "prior"}), default_samples=1, take="vae_explorer.evaluation.bounds:kl",
        cost="free beside -ELBO",
    )
)  # fmt: skip
MEASURES.add(
    Measure(
        name="active_units", title="Active units", unit="dimensions", better="neither", group="latent space",
        summary="Latent dimensions whose posterior mean varies by more than 0.01 over the whole split.",
        reference=_IWAE, needs=frozenset({"codes"}), take="vae_explorer.evaluation.bounds:active_units",
        cost="under a second for 10,000 images",
    )
)  # fmt: skip
MEASURES.add(
    Measure(
        name="nll", title="NLL", unit="nats per image", better="lower", group="likelihood",
        summary="Negative log-likelihood itself, for models that have it in closed form: linear Gaussian, mixtures.",
        reference="Tipping & Bishop, Probabilistic principal component analysis, 1999",
        needs=frozenset({"density", "likelihood protocol"}), take="vae_explorer.evaluation.density:exact_nll",
        cost="a few seconds for 10,000 images",
    )
)  # fmt: skip
MEASURES.add(
    Measure(
        name="nll_quadrature", title="NLL by quadrature", unit="nats per image", better="lower", group="likelihood",
        summary="Exact negative log-likelihood by a sum over a grid of the latent plane; for one or two dimensions.",
        reference="nbip/IWAE, tasks/task01.py (true posterior on a grid)",
        needs=frozenset({"likelihood", "prior", "plane", "likelihood protocol"}),
        take="vae_explorer.evaluation.quadrature:exact_nll",
        cost="5 s for 10,000 images; grows with N; a class-conditional model decodes the grid once a class",
    )
)  # fmt: skip
MEASURES.add(
    Measure(
        name="iwae", title="IWAE-k", unit="nats per image", better="lower", group="likelihood", reference=_IWAE,
        summary="Upper bound on the negative log-likelihood with k importance samples, of the first 1,000 images.",
        needs=frozenset({"likelihood", "prior", "likelihood protocol"}), default_samples=500, default_limit=1000,
        by_default=False, take="vae_explorer.evaluation.bounds:iwae",
        cost="5 to 20 s for 1,000 images and k = 500; grows with N x k",
    )
)  # fmt: skip
MEASURES.add(
    Measure(
        name="perplexity", title="Perplexity of the codebook", unit="codes", better="higher", group="latent space",
        summary="How many codes in equal use would be as varied: exp(-sum p ln p), p over all cells of the split.",
        reference=_VQVAE, needs=frozenset({"codebook"}), take="vae_explorer.evaluation.codebook:perplexity",
        cost="a few seconds for 10,000 images",
    )
)  # fmt: skip
MEASURES.add(
    Measure(
        name="prior_saving", title="Saved by the prior", unit="% of H'W' ln K", better="higher", group="likelihood",
        summary="What the learned prior saves of the nats that a code grid costs under the uniform one.",
        reference=_VQVAE, needs=frozenset({"codebook", "prior"}), take="vae_explorer.evaluation.codebook:prior_saving",
        cost="half a minute for 10,000 images",
    )
)  # fmt: skip
