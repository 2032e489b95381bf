"""What pictures are compared by: the last layer but one of a small network that is trained here on the data's labels.

Nothing is fetched from anywhere. A network of the size of LeNet learns the classes of the training images once, with a
fixed seed, and is kept under a name made of data, architecture and seed. Without labels the pictures' first principal
components stand in, scaled to unit variance. Distances are comparable only within one feature space, so that its digest
travels with every number; MODELS.md 6.7.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_explorer.evaluation.evaluation import BLOCK_IMAGES, Advance, Evaluation
from vae_explorer.evaluation.generation import real

if TYPE_CHECKING:
    from vae_explorer.evaluation.evaluation import Store
    from vae_explorer.evaluation.images import ScoredImages

NUM_FEATURES = 84
NUM_COMPONENTS = 64
EPOCHS = 3
BATCH = 128
LEARNING_RATE = 4e-3
SEED = 20040101
_ARCHITECTURE = f"conv3x3-16 pool conv3x3-32 pool to 7x7 linear-{NUM_FEATURES} linear; epochs {EPOCHS} batch {BATCH}"


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSpace:
    """A map from pictures (N, C, H, W) in [0, 1] on the CPU to features (N, F), float64 on the CPU.

    `digest` names the exact map; `accuracy` is the share of measured images whose class its network gets right.
    """

    title: str
    digest: str
    features: Callable[[Tensor], Tensor]
    accuracy: float | None = None

    def detail(self) -> dict[str, object]:
        """What a measurement says of the features it stands on."""
        found: dict[str, object] = {"features": self.title, "feature_digest": self.digest}
        return found if self.accuracy is None else found | {"classifier_accuracy": self.accuracy}


class SmallClassifier(nn.Module):
    """Two convolutions and two linear layers, for pictures of any size; its features are the first linear layer's."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True),
            nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(32 * 49, NUM_FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(NUM_FEATURES, num_classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits of the classes, (B, K)."""
        logits_BK: Tensor = self.head(self.body(x_BCHW))
        return logits_BK


def feature_space(evaluation: Evaluation) -> FeatureSpace:
    """The feature space of the run's data, shared by the measures that compare pictures."""

    def find() -> FeatureSpace:
        assert evaluation.training is not None, "the measure needs training images"
        training = evaluation.training()
        if training.labels_N is None:
            return whitened_space(real(training))
        network, digest = label_network(evaluation)
        space = FeatureSpace("small network trained on the labels", digest, lambda pictures: _body(network, pictures))
        return _with_accuracy(space, network, evaluation.images)

    return evaluation.shared("feature space", find)


def label_network(evaluation: Evaluation) -> tuple[SmallClassifier, str]:
    """The network that has learnt the labels of the training images, and the digest of its weights."""
    assert evaluation.training is not None, "the measure needs training images"
    return _network(evaluation.training(), evaluation.store, evaluation.advance)


def whitened_space(pictures_NCHW: Tensor) -> FeatureSpace:
    """The first 64 principal components of these pictures, each scaled to unit variance."""
    flat_NP = pictures_NCHW.flatten(1).double()
    mean_P = flat_NP.mean(0)
    covariance_PP = (flat_NP.T @ flat_NP) / len(flat_NP) - torch.outer(mean_P, mean_P)
    values, vectors_PP = torch.linalg.eigh(covariance_PP)
    num = min(NUM_COMPONENTS, len(values), max(1, len(flat_NP) - 1))
    # What hardly varies is rounding, and would be scaled up to weigh as much as everything else.
    deviation_F = values[-num:].clamp_min(1e-8 * float(values[-1]) + torch.finfo(torch.float64).tiny).sqrt()
    matrix_PF = vectors_PP[:, -num:] / deviation_F
    digest = hashlib.sha256(matrix_PF.abs().float().numpy().tobytes()).hexdigest()[:12]

    def features(pictures: Tensor) -> Tensor:
        found_NF: Tensor = (pictures.flatten(1).double() - mean_P) @ matrix_PF
        return found_NF

    return FeatureSpace(f"{num} whitened principal components of the pixels", digest, features)


def _network(training: ScoredImages, store: Store | None, advance: Advance) -> tuple[SmallClassifier, str]:
    """The network of these images, from the store or newly trained, and the digest of its weights."""
    pictures_NCHW, labels_N = real(training), training.labels_N
    assert labels_N is not None, "the network learns labels"
    labels_N = labels_N.cpu()
    name = f"features-{_data_digest(pictures_NCHW, labels_N)}.safetensors"
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are drawn anew, or read
        network = SmallClassifier(pictures_NCHW.shape[1], training.num_classes)
    kept = store.read(name) if store is not None else None
    if kept is None or not _loaded(network, kept):
        _train(network, pictures_NCHW, labels_N, training.stored_NCHW.device, advance)
        if store is not None:
            store.write(name, safetensors.torch.save(network.state_dict()))
    network.eval().requires_grad_(False)
    weights = b"".join(value.contiguous().numpy().tobytes() for value in network.state_dict().values())
    return network, hashlib.sha256(weights).hexdigest()[:12]


def _data_digest(pictures_NCHW: Tensor, labels_N: Tensor) -> str:
    digest = hashlib.sha256(f"{_ARCHITECTURE} rate {LEARNING_RATE} seed {SEED}".encode())
    digest.update(pictures_NCHW.mul(255).round().to(torch.uint8).numpy().tobytes())
    digest.update(labels_N.numpy().tobytes())
    return digest.hexdigest()[:24]


def _loaded(network: SmallClassifier, content: bytes) -> bool:
    """Take up kept weights; False where they are not those of such a network, which is then trained anew."""
    try:
        weights = safetensors.torch.load(content)
    except (safetensors.SafetensorError, ValueError, KeyError):
        return False
    expected = network.state_dict()
    if set(weights) != set(expected) or any(weights[name].shape != expected[name].shape for name in expected):
        return False
    network.load_state_dict(weights)
    return True


def _train(
    network: SmallClassifier, pictures_NCHW: Tensor, labels_N: Tensor, device: torch.device, advance: Advance
) -> None:
    """Adam with a rate that rises and falls once, on the device, and back to the CPU."""
    generator = torch.Generator().manual_seed(SEED)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # every layer here has one
    network.to(device).train()
    num = len(labels_N)
    steps = EPOCHS * -(-num // BATCH)
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps + 1)
    step = 0
    with torch.inference_mode(False), torch.enable_grad():
        for _ in range(EPOCHS):
            for index_B in torch.randperm(num, generator=generator).split(BATCH):
                advance(step, steps)
                logits = network(pictures_NCHW[index_B].to(device))
                loss = functional.cross_entropy(logits, labels_N[index_B].to(device))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                step += 1
    network.to("cpu")


def _body(network: SmallClassifier, pictures_NCHW: Tensor) -> Tensor:
    with torch.inference_mode():
        return torch.cat([network.body(part).double() for part in pictures_NCHW.split(BLOCK_IMAGES)])


def _with_accuracy(space: FeatureSpace, network: SmallClassifier, images: ScoredImages) -> FeatureSpace:
    if images.labels_N is None:
        return space
    with torch.inference_mode():
        found = torch.cat([network(part).argmax(1) for part in real(images).split(BLOCK_IMAGES)])
    share = float((found == images.labels_N.cpu()).double().mean())
    return FeatureSpace(space.title, space.digest, space.features, share)
