"""What is said of a person's own picture: its bound, what the network sees of it, what refining its posterior gains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_explorer.datasets.protocols import PROTOCOLS
from vae_explorer.gui.panels.decoded_image import point_text
from vae_explorer.gui.widgets.map_frame import number_text

if TYPE_CHECKING:
    from vae_explorer.latent.own_picture import OwnPicture
    from vae_explorer.latent.refinement import Refined, RefinementStep


def facts_text(look: OwnPicture) -> str:
    """The bound on this picture with its terms in nats (± the error of its draws), and where its posterior stands."""
    sigma = look.sigma_D
    if len(sigma) <= 2:
        widths = ", ".join(number_text(float(value), 3) for value in sigma)
    else:
        widths = f"{number_text(float(sigma.min()), 3)} to {number_text(float(sigma.max()), 3)}"
    lines = [f"μ {point_text(look.mean_D)}, σ {widths}"]
    if look.bound is not None:
        bound = look.bound
        terms = f"reconstruction {number_text(bound.reconstruction, 1)} + KL {number_text(bound.kl, 1)}"
        lines.insert(0, f"−ELBO {number_text(bound.negative_elbo, 1)} ± {bound.standard_error:.1f} nats = {terms}")
    return "\n".join(lines)


def steps_text(look: OwnPicture, notes: tuple[str, ...]) -> str:
    """What the network sees, and what was done to the picture to get there, a line each."""
    channels, height, width = look.x_CHW.shape
    colours = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
    inverted = "inverted" if look.fitted.is_inverted else "not inverted"
    title = PROTOCOLS[look.protocol].title.lower()
    lines = [f"The network sees {width} x {height} pixels, {colours}, {inverted}; {title}; step {look.step:,}."]
    return "\n".join([*lines, *(f"· {step}" for step in (*notes, *look.fitted.steps))])


def progress_text(news: RefinementStep) -> str:
    """How far a refinement has come."""
    return f"Refining… {news.step:,} steps, −ELBO {number_text(-float(news.elbo), 1)} nats"


def refinement_text(refined: Refined, step: int) -> str:
    """The gaps of one picture, in nats; `step` is that of the weights."""
    before, after = (number_text(-float(elbo), 1) for elbo in (refined.elbo_before, refined.elbo_after))
    text = f"Amortisation gap {number_text(refined.gap, 2)} ± {refined.standard_error:.2f} nats"
    text += f" (−ELBO {before} → {after} after {refined.num_steps:,} steps; weights of step {step:,})"
    if refined.log_evidence is not None:
        rest = float(refined.log_evidence) - float(refined.elbo_after)
        text += f". Approximation gap that is left: {number_text(rest, 2)} nats"
    return text + "."
