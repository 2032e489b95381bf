"""What the data plane is made of; free of torch, so that its panel is there before torch is."""

from __future__ import annotations

from enum import Enum


class Part(Enum):
    """A part of the data plane: its title, what it is, and whether it is shown at first."""

    DATA = ("Data", "Training points, by class, or in the colours of their responsibilities.", True)
    SAMPLES = ("Samples", "Points drawn from the model: z from the prior, then x from p(x|z).", True)
    GRID = ("Latent grid", "Lines of equal latent coordinates, as the decoder bends them over the plane.", True)
    DENSITY = ("Density", "Lines around 50, 80 and 95 % of the model's density p(x).", True)
    TRUTH = ("True density", "The same lines of the density from which the data were drawn.", False)
    COMPONENTS = ("Components", "The Gaussians of a mixture at one and two sigma.", True)
    FIELD = ("Vector field", "Where the model moves each place: its reconstruction less the place itself.", True)

    def __init__(self, title: str, summary: str, is_shown: bool) -> None:
        self.title = title
        self.summary = summary
        self.is_shown = is_shown
