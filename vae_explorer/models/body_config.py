"""Settings of the bodies of encoders and decoders, shared by the models that have them; free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from vae_explorer.config import setting

BODIES = ("mlp", "convolutional", "residual")
ACTIVATIONS = ("relu", "tanh", "gelu", "silu", "leaky_relu", "softplus")
NORMALISATIONS = ("none", "batch", "layer")


@dataclass(frozen=True, kw_only=True)
class LatentConfig:
    """The size of a latent space R^d."""

    latent_dimensions: int = setting(
        2, label="Latent dimensions", minimum=1, maximum=512, formula="z ∈ R^d",
        help="Size of the latent space. With 2 the map shows all of it; with more it shows a plane through it.",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BodyConfig:
    """What `bodies.encoder_body` and `bodies.decoder_body` are built from; the decoder mirrors the encoder."""

    body: str = setting(
        "mlp", label="Body", choices=BODIES,
        help="Layers of encoder and decoder: fully connected, convolutional, or convolutional with residual blocks.",
    )  # fmt: skip
    hidden_widths: tuple[int, ...] = setting(
        (512, 256, 128), label="Hidden widths", minimum=1, maximum=8192,
        help="Units of the MLP encoder's hidden layers, from the image inwards; the decoder uses them in reverse. "
             "With none, encoder and decoder are linear.",
    )  # fmt: skip
    channels: tuple[int, ...] = setting(
        (32, 64), label="Channels", minimum=1, maximum=1024,
        help="Channels of the convolutional and residual bodies, from the image inwards; each halves the picture.",
    )  # fmt: skip
    blocks_per_stage: int = setting(
        1, label="Residual blocks", minimum=1, maximum=16, advanced=True, formula="h ← a(h + f(h))",
        help="Blocks of two convolutions around which the residual body leads a shortcut, in every stage.",
    )  # fmt: skip
    activation: str = setting(
        "relu", label="Activation", choices=ACTIVATIONS, help="The nonlinearity after every hidden layer."
    )
    normalisation: str = setting(
        "none", label="Normalisation", choices=NORMALISATIONS, advanced=True,
        help="Before every activation: none, over the batch (with running averages outside training), or each layer.",
    )  # fmt: skip
