"""The layers of the latent map, as records: what each shows, how it is read, what it costs, and who draws it.

A layer is a generator `draw(explorer, request)` on the exploring thread. It yields None after every few milliseconds
of work, so that a click is never kept waiting, and a `LayerDrawing` whenever there is something to show; the last one
is whole. A hidden layer is never called. Torch-free: the module that draws is imported when it first draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vae_explorer.config import setting
from vae_explorer.latent.drawing import LayerDrawing, LayerInk
from vae_explorer.latent.map_rect import MapRect
from vae_explorer.registry import Registry, function_at

if TYPE_CHECKING:
    from vae_explorer.latent.explorer import Explorer
    from vae_explorer.latent.views import View

DrawLayer = Callable[["Explorer", "LayerRequest"], Iterator[LayerDrawing | None]]


@dataclass(frozen=True, slots=True, eq=False)
class GivenPosterior:
    """A posterior that belongs to no item of the data set: of the person's own picture, or a refined one."""

    name: str
    mean_D: NDArray[np.float64]
    sigma_D: NDArray[np.float64]
    x_CHW: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Focus:
    """What the person attends to at this moment.

    `hovered_item` and `items` are item ids; `selected_N` marks the selected items (None where nothing is selected);
    `beta` is that of the form, which a running training follows; `pin_D` is the selected pin's latent point.
    """

    hovered_item: int | None = None
    items: tuple[int, ...] = ()
    given: tuple[GivenPosterior, ...] = ()
    selected_N: NDArray[np.bool_] | None = None
    beta: float = 1.0
    pin_D: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LayerRequest:
    """What a layer is asked to draw: the part of the plane in sight, at so many device pixels.

    The painter lays a drawing down with the layer's opacity, unless the record `bakes_opacity`: then pixels and ink
    carry it already, and nothing needs to be blended twice. A draft is what can be had at once, while the mouse is on
    its way; the whole is asked for when it rests. While training, what costs much is renewed at a rate of its own.
    """

    view: View
    rect: MapRect
    width: int
    height: int
    pixel_ratio: float
    ink: LayerInk
    opacity: float = 1.0
    options: Any = None
    focus: Focus = field(default_factory=Focus)
    is_draft: bool = False
    is_training: bool = False

    @property
    def units_per_pixel(self) -> float:
        """Width of a device pixel in map units."""
        return self.rect.width / max(self.width, 1)


@dataclass(frozen=True)
class NoOptions:
    """For layers without choices."""


@dataclass(frozen=True)
class CodesOptions:
    """How codes are drawn."""

    colour_by: str = setting(
        "label", label="Colour by", help="What the colour of a code says",
        choices=("label", "none", "elbo", "reconstruction", "kl", "distance"),
    )  # fmt: skip
    style: str = setting(
        "automatic", label="Draw as",
        help="Points when few are in sight, density when many, pictures when far in; or always the same",
        choices=("automatic", "points", "density", "pictures"),
    )  # fmt: skip


@dataclass(frozen=True)
class PosteriorOptions:
    """What is drawn of a posterior."""

    shows_exact: bool = setting(
        True, label="Exact posterior", help="p(z|x) of the hovered image by quadrature, for one or two dimensions"
    )


@dataclass(frozen=True)
class AggregateOptions:
    """Which of the three densities."""

    shows: str = setting(
        "holes", label="Show",
        help="Density of q(z), of the prior, or the holes: prior mass where no data live",
        choices=("holes", "aggregate", "prior"),
    )  # fmt: skip


@dataclass(frozen=True)
class ReliabilityOptions:
    """What makes a place unreliable."""

    measure: str = setting(
        "distance", label="Measure",
        help="Distance to the nearest codes in their sigma, or how far encode(decode(z)) comes back from z",
        choices=("distance", "round-trip"),
    )  # fmt: skip


@dataclass(frozen=True)
class StretchOptions:
    """Which metric, and what is drawn of it."""

    metric: str = setting(
        "fisher", label="Metric",
        help="Pull-back metric of the decoder: Fisher information of p(x|z), or change of the mean picture",
        choices=("fisher", "mean"),
    )  # fmt: skip
    shows_ellipses: bool = setting(
        True, label="Tissot ellipses", help="How far one can go in each direction for the same change"
    )
    shows_mesh: bool = setting(
        False, label="Warp mesh", help="A mesh whose cells are small where the decoder changes fast"
    )
    shows_isochrones: bool = setting(
        False, label="Isochrones", help="Lines of equal path length from the selected pin, along the decoder's surface"
    )


@dataclass(frozen=True)
class ForcesOptions:
    """How many arrows."""

    num_codes: int = setting(200, label="Codes", help="How many codes get their two arrows", minimum=20, maximum=1000)


@dataclass(frozen=True)
class RegionsOptions:
    """How a class region is found."""

    neighbours: int = setting(
        15, label="Neighbours", help="A place belongs to the class of most of so many nearest codes", minimum=1,
        maximum=101,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """One layer.

    `legend` says in words how it is read, with the unit; `cost` what it costs and how often it is renewed while
    training: at most once in `seconds_between`, and less often where all layers together would take too much; `needs`
    what must be there: `dataset`, `likelihood`, `prior`, `gaussian posterior`, `labels`. `follows_selection`,
    `follows_hover`, `follows_beta` and `follows_pin`: it is drawn again when other items are selected, another item or
    picture is looked at, beta is moved, or the selected pin. `renderer` is `module:function`.
    """

    name: str
    title: str
    summary: str
    reference: str
    legend: str
    cost: str
    renderer: str
    options_type: type = NoOptions
    opacity: float = 0.8
    is_shown: bool = False
    seconds_between: float = 0.25
    needs: frozenset[str] = frozenset()
    follows_selection: bool = False
    follows_hover: bool = False
    follows_beta: bool = False
    follows_pin: bool = False
    bakes_opacity: bool = False

    @property
    def is_survey(self) -> bool:
        """Whether it takes longer than a look, and is drawn by the second exploring thread at its own rate."""
        return self.seconds_between >= 1.0

    def draw(self, explorer: Explorer, request: LayerRequest) -> Iterator[LayerDrawing | None]:
        """The drawing, step by step, on the exploring thread."""
        draw: DrawLayer = function_at(self.renderer)
        return draw(explorer, request)


_ONCE_A_SECOND = "renewed at most once a second, within the share of a core that looking may take"
_ONCE_IN_TWO_SECONDS = "renewed at most every two seconds, within the share of a core that looking may take"

LAYERS: Registry[LayerRecord] = Registry("layer")
"""From the ground up: later records are painted over earlier ones."""

for _record in (
    LayerRecord(
        "manifold", "Decoded manifold", "What the decoder makes of each place, drawn where it stands.",
        "Kingma, Welling: Auto-Encoding Variational Bayes, arXiv 1312.6114, figure 4",
        "Each cell shows the decoder's mean picture at its centre.",
        "One decoding a cell, 150 to 900 cells; renewed with every look",
        "vae_explorer.latent.manifold:draw", opacity=0.55, is_shown=True, bakes_opacity=True,
    ),
    LayerRecord(
        "stretch", "Stretch", "How fast the decoded picture changes as one moves: the decoder's magnification factor.",
        "Arvanitidis, Hansen, Hauberg: Latent Space Oddity, arXiv 1710.11379; Arvanitidis et al., arXiv 2106.05367",
        "Colour: the square root of det G, on a logarithmic scale between its 1st and 99th percentile; per unit of "
        "latent area. Ellipses: steps of equal change. Isochrones: equal path length from the selected pin.",
        "Three backward passes of the decoder on a lattice; " + _ONCE_A_SECOND,
        "vae_explorer.latent.stretch_layer:draw", StretchOptions, opacity=0.75, seconds_between=1.0, follows_pin=True,
    ),
    LayerRecord(
        "aggregate", "Prior and q(z)", "Where the prior has mass, and where the aggregate posterior q(z) has.",
        "Hoffman, Johnson: ELBO surgery, 2016; MODELS 5.9",
        "Colour: log density in nats, or the prior's density minus that of q(z); lines: one, two, three sigma of "
        "N(0, I). KL = mutual information + mismatch, in nats per image.",
        "Encodes 4,096 images, and all of them for the parts of the KL; " + _ONCE_A_SECOND
        + "; the parts of the KL more rarely",
        "vae_explorer.latent.aggregate_layer:draw", AggregateOptions, opacity=0.7, seconds_between=1.0,
        needs=frozenset({"dataset", "prior", "gaussian posterior"}),
    ),
    LayerRecord(
        "regions", "Regions", "Which class the codes around a place belong to.",
        "Nearest-neighbour classification; Cover, Hart 1967",
        "Colour: the class of most of the k nearest codes, paler where they disagree; names at the classes' medians.",
        "Nearest codes of a lattice; " + _ONCE_A_SECOND,
        "vae_explorer.latent.regions_layer:draw", RegionsOptions, opacity=0.45, seconds_between=1.0,
        needs=frozenset({"labels"}),
    ),
    LayerRecord(
        "reliability", "Reliability", "How far a place is from anything the network was trained on.",
        "Arvanitidis, Hansen, Hauberg: Latent Space Oddity, arXiv 1710.11379, section 4",
        "Shade: distance to the nearest codes in units of their sigma, or of the round trip encode(decode(z)); "
        "what is shaded is extrapolation.",
        "Encodes 4,096 images after a look; " + _ONCE_IN_TWO_SECONDS,
        "vae_explorer.latent.reliability_layer:draw", ReliabilityOptions, opacity=0.8, seconds_between=2.0,
        needs=frozenset({"dataset", "gaussian posterior"}),
    ),
    LayerRecord(
        "codes", "Codes", "The posterior means of all images.",
        "Kingma, Welling: Auto-Encoding Variational Bayes, arXiv 1312.6114",
        "A point an image, coloured by class or by a value an image; density with contours where there are many.",
        "Almost free: the training step has them already; renewed with every look",
        "vae_explorer.latent.codes_layer:draw", CodesOptions, is_shown=True, follows_selection=True, bakes_opacity=True,
    ),
    LayerRecord(
        "forces", "Forces", "What pulls each code: the reconstruction one way, the KL the other.",
        "Kingma, Welling: Auto-Encoding Variational Bayes, arXiv 1312.6114, equation 10",
        "Arrows at the codes: minus the gradient on the mean of q, in nats per unit, for the reconstruction and for "
        "beta times the KL.",
        "One backward pass for so many images; " + _ONCE_A_SECOND,
        "vae_explorer.latent.forces_layer:draw", ForcesOptions, opacity=1.0, seconds_between=1.0,
        needs=frozenset({"dataset", "likelihood", "prior", "gaussian posterior"}), follows_beta=True,
    ),
    LayerRecord(
        "posterior", "Posterior", "How sure the encoder is of the hovered and the selected images.",
        "Kingma, Welling: Auto-Encoding Variational Bayes, arXiv 1312.6114; MODELS 6.12",
        "Ellipses: one and two sigma of q(z|x). Heat: the exact p(z|x) by quadrature, for one or two dimensions, "
        "with KL(q || exact) in nats.",
        "Up to a few thousand decodings for the hovered image; " + _ONCE_A_SECOND,
        "vae_explorer.latent.posterior_layer:draw", PosteriorOptions, opacity=1.0, is_shown=True, seconds_between=1.0,
        needs=frozenset({"dataset", "gaussian posterior"}), follows_selection=True, follows_hover=True,
    ),
):  # fmt: skip
    LAYERS.add(_record)
