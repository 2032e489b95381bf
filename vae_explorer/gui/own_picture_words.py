"""What is said of a person's own picture: its bound, what the network sees of it, what refining its posterior gains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_explorer.datasets.protocols import PROTOCOLS
from vae_explorer.gui.panels.decoded_image import point_text
from vae_explorer.gui.widgets.map_frame import number_text

if TYPE_CHECKING:
    from vae_explorer.latent.own_picture import OwnPicture
    from vae_explorer.latent.refinement import Refined, RefinementStep

_WHOLE_NATS = 10_000
_WHOLE_ERROR = 10.0
_FAR_SIGMAS = 2.0


def facts_text(look: OwnPicture, refined: Refined | None = None) -> str:
    """The bound on this picture with its terms in nats, ± the error of its draws, and where its posterior stands.

    After a refinement of the same weights the bound is that of the refinement's draws, so that there is one value.
    """
    sigma = look.sigma_D
    if len(sigma) <= 2:
        widths = ", ".join(number_text(float(value), 3) for value in sigma)
    else:
        widths = f"{number_text(float(sigma.min()), 3)} to {number_text(float(sigma.max()), 3)}"
    lines = [f"μ {point_text(look.mean_D)}, σ {widths}"]
    if look.nearest is not None:
        is_far = look.nearest > _FAR_SIGMAS
        lines.append(f"Nearest code {look.nearest:,.1f} σ away{': far from the data' if is_far else ''}")
    if look.bound is not None:
        bound = look.bound
        total, error = bound.negative_elbo, bound.standard_error
        if refined is not None:
            total, error = -float(refined.elbo_before), 0.0
        # The KL is exact, so what is left of the bound is the other term, from the same draws.
        decimals = decimals_for(error)
        terms = f"reconstruction {nats(total - bound.kl, decimals)} + KL {nats(bound.kl, decimals)}"
        lines.insert(0, f"−ELBO {nats(total, decimals)}{plus_minus(error, decimals)} nats = {terms}")
    return "\n".join(lines)


def nats(value: float, decimals: int = 1) -> str:
    """A number of nats with thousands separators and a true minus sign; large ones to the whole nat."""
    text = f"{value:,.{0 if abs(value) >= _WHOLE_NATS else decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}") if text.strip("-0.") else text.lstrip("-")


def decimals_for(error: float) -> int:
    """Of a value with this error."""
    return 0 if error >= _WHOLE_ERROR else 1


def plus_minus(error: float, decimals: int) -> str:
    """The error with its sign and a space before it, or nothing where it is too small to be written so."""
    text = f"{error:,.{decimals}f}"
    return f" ± {text}" if text.strip("0.") else ""


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
    return f"Refining… {news.step:,} steps, −ELBO {nats(-float(news.elbo))} nats with the draws it climbs on"


def refinement_text(refined: Refined, step: int) -> str:
    """The gaps of one picture, in nats; `step` is that of the weights."""
    before, after = (nats(-float(elbo)) for elbo in (refined.elbo_before, refined.elbo_after))
    text = f"Refined at step {step:,}: −ELBO {before} → {after} nats\n"
    text += f"Amortisation gap {nats(refined.gap, 2)}{plus_minus(refined.standard_error, 2)}"
    if refined.log_evidence is not None:
        text += f", approximation {nats(float(refined.log_evidence) - float(refined.elbo_after), 2)}"
    return f"{text} nats"


def gaps_meaning(refined: Refined) -> str:
    """What the two gaps are."""
    return (
        f"After {refined.num_steps:,} steps on q for this picture alone. Amortisation gap: what the encoder's q loses "
        "against the best Gaussian. Approximation gap: what the best Gaussian loses against the true posterior, where "
        "log p(x) can be computed (one or two dimensions)."
    )
