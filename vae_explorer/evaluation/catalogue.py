"""The measures that there are, in the order of tables; free of torch."""

from __future__ import annotations

from vae_explorer.evaluation.record import Measure, Need
from vae_explorer.registry import Registry

MEASURES: Registry[Measure] = Registry("measure")

_AEVB = "Kingma & Welling, Auto-Encoding Variational Bayes, arXiv:1312.6114"
_SOHN = "Sohn, Lee & Yan, Structured Output Representation using Deep Conditional Generative Models, NeurIPS 2015"
_IWAE = "Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, arXiv:1509.00519"

_VQVAE = "van den Oord, Vinyals & Kavukcuoglu, Neural Discrete Representation Learning, arXiv:1711.00937"
_HOFFMAN = "Hoffman & Johnson, ELBO surgery, NIPS workshop 2016"
_CHEN = "Chen, Li, Grosse & Duvenaud, Isolating Sources of Disentanglement, arXiv:1802.04942"
_DCI = "Eastwood & Williams, A Framework for the Quantitative Evaluation of Disentangled Representations, ICLR 2018"
_PRDC = "Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, arXiv:2002.09797"
_RECALL = "Kynkaanniemi et al., Improved Precision and Recall Metric, arXiv:1904.06991"
_SSIM = "Wang, Bovik, Sheikh & Simoncelli, Image Quality Assessment, IEEE Trans. Image Processing 13, 2004"
_VENNA = "Venna & Kaski, Neighborhood Preservation in Nonlinear Projection Methods, ICANN 2001"
_BAYES = "the evidence decomposition log p(x) = ELBO + KL(q(z|x) || p(z|x))"

_BOUND: frozenset[Need] = frozenset({"likelihood", "prior"})
_LIKELIHOOD: frozenset[Need] = _BOUND | {"likelihood protocol"}
_GAUSSIAN: frozenset[Need] = frozenset({"Gaussian posterior", "standard normal prior"})
_FACTORS: frozenset[Need] = frozenset({"codes", "factors"})
_PROBES: frozenset[Need] = frozenset({"codes", "labels", "training images", "unseen images"})
_SAMPLES: frozenset[Need] = frozenset({"prior", "training images"})

_AGGREGATE_COST = "10 to 20 s for 10,000 images and 20 dimensions; grows with N x N x D"
_TREES_COST = "about a minute for 5,000 images, shared by the three parts; grows with factors x D"
_FEATURES_COST = "5 s for 10,000 pictures, and once a minute to train the feature network; grows with N"
_PRDC_COST = "10 s for 10,000 pictures, shared by the four; grows with N x N"

for _record in (
    Measure(
        name="elbo", title="-ELBO", unit="nats per image", better="lower", group="likelihood", reference=_AEVB,
        summary="Negative evidence lower bound at beta 1 with S posterior samples: reconstruction plus KL.",
        needs=_BOUND, default_samples=1, take="vae_explorer.evaluation.bounds:elbo",
        cost="under a second for 10,000 images; grows with N x S",
    ),
    Measure(
        name="reconstruction", title="Reconstruction", unit="nats per image", better="lower", group="likelihood",
        summary="The part of -ELBO that says how well pictures come back: -E_q[log p(x|z)].", reference=_AEVB,
        needs=_BOUND, default_samples=1, take="vae_explorer.evaluation.bounds:reconstruction",
        cost="free beside -ELBO",
    ),
    Measure(
        name="kl", title="KL", unit="nats per image", better="neither", group="likelihood", reference=_AEVB,
        summary="The part of -ELBO that says how much the code tells: KL(q(z|x) || p(z)).",
        needs=_BOUND, default_samples=1, take="vae_explorer.evaluation.bounds:kl", cost="free beside -ELBO",
    ),
    Measure(
        name="active_units", title="Active units", unit="dimensions", better="neither", group="latent space",
        summary="Latent dimensions whose posterior mean varies by more than 0.01 over the whole split.",
        reference=_IWAE, needs=frozenset({"codes"}), take="vae_explorer.evaluation.bounds:active_units",
        cost="under a second for 10,000 images",
    ),
    Measure(
        name="nll", title="NLL", unit="nats per image", better="lower", group="likelihood",
        summary="Negative log-likelihood itself, for models that have it in closed form: linear Gaussian, mixtures.",
        reference="Tipping & Bishop, Probabilistic principal component analysis, 1999",
        needs=frozenset({"density", "likelihood protocol"}), take="vae_explorer.evaluation.density:exact_nll",
        cost="a few seconds for 10,000 images",
    ),
    Measure(
        name="nll_quadrature", title="NLL by quadrature", unit="nats per image", better="lower", group="likelihood",
        summary="Exact negative log-likelihood by a sum over a grid of the latent plane; for one or two dimensions.",
        reference="nbip/IWAE, tasks/task01.py (true posterior on a grid)", needs=_LIKELIHOOD | {"plane"},
        take="vae_explorer.evaluation.quadrature:exact_nll",
        cost="5 s for 10,000 images; grows with N; a class-conditional model decodes the grid once a class",
    ),
    Measure(
        name="iwae", title="IWAE-k", unit="nats per image", better="lower", group="likelihood", reference=_IWAE,
        summary="Upper bound on the negative log-likelihood with k importance samples, of the first 1,000 images.",
        needs=_LIKELIHOOD, default_samples=500, default_limit=1000, by_default=False,
        take="vae_explorer.evaluation.bounds:iwae", cost="5 to 20 s for 1,000 images and k = 500; grows with N x k",
    ),
    Measure(
        name="posterior_gap", title="KL to exact posterior", unit="nats per image", better="lower",
        group="likelihood", summary="What the bound loses by q(z|x): KL(q(z|x) || p(z|x)) = log p(x) - ELBO.",
        reference=_BAYES, needs=_LIKELIHOOD | {"plane"}, default_samples=8, by_default=False,
        take="vae_explorer.evaluation.calibration:posterior_gap", cost="1 s beside NLL by quadrature; grows with N x S",
    ),
    Measure(
        name="ellipse_coverage", title="Coverage of q's ellipse", unit="share", better="neither", group="likelihood",
        summary="Mass of the exact posterior inside the ellipse in which q(z|x) has 90 %: below 0.9, q is too narrow.",
        reference=_BAYES, needs=_LIKELIHOOD | {"plane", "Gaussian posterior"}, default_limit=1000, by_default=False,
        take="vae_explorer.evaluation.calibration:ellipse_coverage", cost="3 s for 1,000 images; grows with N",
    ),
    Measure(
        name="mutual_information", title="Mutual information", unit="nats per image", better="neither",
        group="latent space", summary="What the code tells of which image it came from: I(x;z), at most ln N.",
        reference=_HOFFMAN, needs=_GAUSSIAN, default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.aggregate:mutual_information", cost=_AGGREGATE_COST,
    ),
    Measure(
        name="marginal_kl", title="Marginal KL", unit="nats per image", better="lower", group="latent space",
        summary="How far the codes of all data together are from the prior: KL(q(z) || p(z)) = KL - I(x;z).",
        reference=_HOFFMAN, needs=_GAUSSIAN, default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.aggregate:marginal_kl", cost="free beside the mutual information",
    ),
    Measure(
        name="total_correlation", title="Total correlation", unit="nats per image", better="lower",
        group="latent space", summary="How far the latent dimensions depend on each other: KL(q(z) || prod_j q(z_j)).",
        reference=_CHEN, needs=_GAUSSIAN, default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.aggregate:total_correlation", cost="free beside the mutual information",
    ),
    Measure(
        name="dimension_wise_kl", title="Dimension-wise KL", unit="nats per image", better="lower",
        group="latent space", summary="What is left of the KL for single dimensions: sum_j KL(q(z_j) || p(z_j)).",
        reference=_CHEN, needs=_GAUSSIAN, default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.aggregate:dimension_wise_kl", cost="free beside the mutual information",
    ),
    Measure(
        name="linear_probe", title="Linear probe", unit="accuracy", better="higher", group="latent space",
        summary="Share of images whose class a ridge regression from training codes reads off the posterior mean.",
        reference="google-research/disentanglement_lib, downstream_task.py", needs=_PROBES, by_default=False,
        take="vae_explorer.evaluation.probes:linear_probe", cost="2 s, which is the encoding of the training images",
    ),
    Measure(
        name="nearest_neighbours", title="5 nearest neighbours", unit="accuracy", better="higher",
        group="latent space", summary="Share of images whose class the five nearest of 10,000 training codes vote for.",
        reference="Cover & Hart, Nearest Neighbor Pattern Classification, 1967", needs=_PROBES, by_default=False,
        take="vae_explorer.evaluation.probes:nearest_neighbour_probe", cost="2 s beside the linear probe; grows with N",
    ),
    Measure(
        name="trustworthiness", title="Trustworthiness of PCA plane", unit="share", better="higher",
        group="latent space", summary="Whether neighbours on the plane of largest variance are neighbours in R^d.",
        reference=_VENNA, needs=frozenset({"codes", "more than two dimensions"}), default_limit=2000,
        by_default=False, take="vae_explorer.evaluation.faithfulness:plane_trustworthiness",
        cost="2 s for 2,000 images; grows with N x N",
    ),
    Measure(
        name="continuity", title="Continuity of PCA plane", unit="share", better="higher", group="latent space",
        summary="Whether neighbours in R^d stay neighbours on the plane of largest variance.",
        reference=_VENNA, needs=frozenset({"codes", "more than two dimensions"}), default_limit=2000,
        by_default=False, take="vae_explorer.evaluation.faithfulness:plane_continuity",
        cost="2 s for 2,000 images; grows with N x N",
    ),
    Measure(
        name="mig", title="MIG", unit="share", better="higher", group="disentanglement", reference=_CHEN,
        summary="Gap between the two dimensions that tell most of a factor, over its entropy; mean over factors.",
        needs=_FACTORS, default_limit=10_000, take="vae_explorer.evaluation.disentanglement:mutual_information_gap",
        cost="1 s for 10,000 images",
    ),
    Measure(
        name="sap", title="SAP", unit="share", better="higher", group="disentanglement",
        summary="Gap between the two dimensions that alone classify a factor best; mean over factors.",
        reference="Kumar, Sattigeri & Balakrishnan, arXiv:1711.00848", needs=_FACTORS, default_limit=10_000,
        take="vae_explorer.evaluation.disentanglement:attribute_predictability", cost="2 s for 10,000 images",
    ),
    Measure(
        name="dci_disentanglement", title="DCI: disentanglement", unit="share", better="higher",
        group="disentanglement", summary="Whether each dimension tells of one factor only, by the importance in trees.",
        reference=_DCI, needs=_FACTORS | {"trees"}, default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.disentanglement:dci_disentanglement", cost=_TREES_COST,
    ),
    Measure(
        name="dci_completeness", title="DCI: completeness", unit="share", better="higher", group="disentanglement",
        summary="Whether each factor is told by one dimension only, by the importance in trees.", reference=_DCI,
        needs=_FACTORS | {"trees"}, default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.disentanglement:dci_completeness", cost=_TREES_COST,
    ),
    Measure(
        name="dci_informativeness", title="DCI: informativeness", unit="accuracy", better="higher",
        group="disentanglement", summary="How much all dimensions together tell of the factors: accuracy of the trees.",
        reference=_DCI, needs=_FACTORS | {"trees"}, default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.disentanglement:dci_informativeness", cost=_TREES_COST,
    ),
    Measure(
        name="mse", title="Squared error", unit="per pixel", better="lower", group="reconstruction",
        summary="Mean squared error a pixel of the mean picture decoded at the posterior mean.",
        reference="the definition", needs=frozenset(), take="vae_explorer.evaluation.reconstructions:squared_error",
        cost="under a second for 10,000 images",
    ),
    Measure(
        name="denoising_error", title="Denoising error", unit="per pixel", better="lower", group="reconstruction",
        summary="Mean squared error a pixel of what a denoising model makes of pictures that were corrupted anew.",
        reference="Vincent et al., Stacked denoising autoencoders, 2010", needs=frozenset({"corruption"}),
        take="vae_explorer.evaluation.reconstructions:denoising_error", cost="under a second for 10,000 images",
    ),
    Measure(
        name="psnr", title="PSNR", unit="dB", better="higher", group="reconstruction",
        summary="Peak signal-to-noise ratio of the mean squared error; the mean of each image's is another number.",
        reference="scikit-image, metrics", needs=frozenset({"pictures"}), by_default=False,
        take="vae_explorer.evaluation.reconstructions:psnr", cost="free beside the squared error",
    ),
    Measure(
        name="ssim", title="SSIM", unit="similarity", better="higher", group="reconstruction", reference=_SSIM,
        summary="Structural similarity of the decoded mean picture: windows of 7 x 7, from 64 pixels 11 x 11 Gaussian.",
        needs=frozenset({"pictures"}), by_default=False, take="vae_explorer.evaluation.reconstructions:ssim",
        cost="2 s for 10,000 images",
    ),
    Measure(
        name="frechet", title="Frechet distance", unit="in feature space", better="lower", group="samples",
        summary="Distance of generated from real pictures in features trained here on the labels; see the floor.",
        reference="Heusel et al., arXiv:1706.08500; dfaroughy/FID-MNIST", needs=_SAMPLES, default_samples=10_000,
        default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.sample_quality:frechet_distance_of_samples", cost=_FEATURES_COST,
    ),
    Measure(
        name="kernel_distance", title="Kernel distance (KID)", unit="in feature space", better="lower", group="samples",
        summary="Generated against real pictures in features of a random network; needs no labels; see the floor.",
        reference="Binkowski, Sutherland, Arbel & Gretton, Demystifying MMD GANs, arXiv:1801.01401",
        needs=_SAMPLES | {"pictures"}, default_samples=10_000, default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.kernel_distance:kernel_distance_of_samples",
        cost="10 s for 10,000 pictures; grows with N",
    ),
    Measure(
        name="precision", title="Precision", unit="share", better="higher", group="samples", reference=_RECALL,
        summary="Share of generated pictures that lie within the real ones, by 5 nearest neighbours.",
        needs=_SAMPLES, default_samples=10_000, default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.sample_quality:precision", cost=_PRDC_COST,
    ),
    Measure(
        name="recall", title="Recall", unit="share", better="higher", group="samples", reference=_RECALL,
        summary="Share of real pictures that lie within the generated ones, by 5 nearest neighbours.",
        needs=_SAMPLES, default_samples=10_000, default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.sample_quality:recall", cost=_PRDC_COST,
    ),
    Measure(
        name="density", title="Density", unit="ratio", better="higher", group="samples", reference=_PRDC,
        summary="How densely real pictures surround the generated ones; about 1 for the real distribution.",
        needs=_SAMPLES, default_samples=10_000, default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.sample_quality:density", cost=_PRDC_COST,
    ),
    Measure(
        name="coverage", title="Coverage", unit="share", better="higher", group="samples", reference=_PRDC,
        summary="Share of real pictures with a generated one among their neighbours.",
        needs=_SAMPLES, default_samples=10_000, default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.sample_quality:coverage", cost=_PRDC_COST,
    ),
    Measure(
        name="neighbour_ratio", title="Memorisation ratio", unit="ratio", better="neither", group="samples",
        summary="Distance of a generated picture to its nearest training image over that to an unseen one; 1 is none.",
        reference="van den Burg & Williams, On Memorization in Probabilistic Deep Generative Models, arXiv:2106.03216",
        needs=_SAMPLES | {"unseen images"}, default_samples=1000, default_limit=10_000, by_default=False,
        take="vae_explorer.evaluation.memorisation:neighbour_ratio", cost="2 s for 1,000 samples; grows with S x N",
    ),
    Measure(
        name="data_copying", title="Data copying Z_U", unit="standard deviations", better="neither", group="samples",
        summary="Whether samples lie nearer to training images than unseen ones do: below -3 the model copies.",
        reference="Meehan, Chaudhuri & Dasgupta, arXiv:2004.05675", needs=_SAMPLES | {"unseen images"},
        default_samples=2000, default_limit=2000, by_default=False,
        take="vae_explorer.evaluation.memorisation:data_copying", cost=_FEATURES_COST,
    ),
    Measure(
        name="perplexity", title="Perplexity of the codebook", unit="codes", better="higher", group="latent space",
        summary="How many codes in equal use would be as varied: exp(-sum p ln p), p over all cells of the split.",
        reference=_VQVAE, needs=frozenset({"codebook"}), take="vae_explorer.evaluation.codebook:perplexity",
        cost="a few seconds for 10,000 images",
    ),
    Measure(
        name="prior_saving", title="Saved by the prior", unit="% of H'W' ln K", better="higher", group="likelihood",
        summary="What the learned prior saves of the nats that a code grid costs under the uniform one.",
        reference=_VQVAE, needs=frozenset({"codebook", "prior"}), take="vae_explorer.evaluation.codebook:prior_saving",
        cost="half a minute for 10,000 images",
    ),
    Measure(
        name="completion", title="Completion", unit="nats per image", better="lower", group="likelihood",
        reference=_SOHN, summary="Score of the pixels that are not given, with k importance samples.",
        needs=frozenset({"likelihood", "prior", "given part"}), default_samples=100,
        take="vae_explorer.evaluation.completion:completion",
        cost="a minute for 10,000 images and k = 100; grows with N x k",
    ),
    Measure(
        name="completion_baseline", title="Completion by the baseline", unit="nats per image", better="lower",
        group="likelihood", reference=_SOHN,
        summary="The same score of the network that predicts them without latents.",
        needs=frozenset({"likelihood", "given part"}), take="vae_explorer.evaluation.completion:completion_baseline",
        cost="under a second for 10,000 images",
    ),
    Measure(
        name="told_class", title="Told class recovered", unit="share", better="higher", group="samples",
        summary="Share of samples in which a network that has learnt the labels finds the class that was told.",
        reference=_SOHN, needs=frozenset({"prior", "told class", "labels", "pictures", "training images"}),
        default_samples=10_000, by_default=False, take="vae_explorer.evaluation.told_class:told_class",
        cost=_FEATURES_COST,
    ),
):  # fmt: skip
    MEASURES.add(_record)
