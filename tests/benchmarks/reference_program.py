"""The loop of the public tutorial program (pytorch/examples `vae`), written again here to be timed beside ours.

What makes it what it is, kept: torchvision's MNIST item by item through `ToTensor`, a `DataLoader` without workers, a
sigmoid output with binary cross-entropy summed, `loss.item()` every step, Adam 1e-3, batch 128, a pass over the test
set an epoch.
"""

from __future__ import annotations

import gzip
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_explorer.resource_files import resource_path


class ReferenceVAE(nn.Module):
    """784-400-20-400-784 with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(784, 400)
        self.mean = nn.Linear(400, 20)
        self.log_variance = nn.Linear(400, 20)
        self.back = nn.Linear(20, 400)
        self.picture = nn.Linear(400, 784)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = functional.relu(self.hidden(x.view(-1, 784)))
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return torch.sigmoid(self.picture(functional.relu(self.back(z)))), mean, log_variance


def loss_of(picture: Tensor, x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    cross_entropy = functional.binary_cross_entropy(picture, x.view(-1, 784), reduction="sum")
    return cross_entropy - 0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())


@dataclass
class ReferenceRun:
    train_seconds: list[float]
    test_bound: list[float]  # -ELBO(1) on the 10,000 test images after each epoch, nats per image


def unpack_mnist(folder: Path) -> Path:
    """The four files as torchvision expects them below `folder`."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for packed in resource_path("datasets", "mnist").glob("*.gz"):
        with gzip.open(packed) as source, (raw / packed.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    return folder


class ReferenceProgram:
    """Kept between epochs so that its epochs can be timed in turn with ours."""

    def __init__(self, folder: Path, device: torch.device, seed: int = 1) -> None:
        from torchvision import datasets, transforms

        torch.manual_seed(seed)
        self.device = device
        root, to_tensor = unpack_mnist(folder), transforms.ToTensor()
        workers = {"num_workers": 1, "pin_memory": True} if device.type == "cuda" else {}
        train = datasets.MNIST(root, train=True, download=False, transform=to_tensor)
        test = datasets.MNIST(root, train=False, download=False, transform=to_tensor)
        self.train_loader = torch.utils.data.DataLoader(train, batch_size=128, shuffle=True, **workers)
        self.test_loader = torch.utils.data.DataLoader(test, batch_size=128, shuffle=False, **workers)
        self.model = ReferenceVAE().to(device)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def train_epoch(self) -> float:
        """One pass over the 60,000 images; returns its seconds."""
        begin = time.perf_counter()
        self.model.train()
        total = 0.0
        for x, _ in self.train_loader:
            x = x.to(self.device)
            self.optimiser.zero_grad()
            loss = loss_of(*self._through(x))
            loss.backward()
            total += loss.item()
            self.optimiser.step()
        return time.perf_counter() - begin

    def _through(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        picture, mean, log_variance = self.model(x)
        return picture, x, mean, log_variance

    def test_bound(self) -> float:
        """-ELBO(1) on the test images."""
        self.model.eval()
        total = 0.0
        with torch.no_grad():
            for x, _ in self.test_loader:
                total += loss_of(*self._through(x.to(self.device))).item()
        return total / len(self.test_loader.dataset)  # type: ignore[arg-type]
