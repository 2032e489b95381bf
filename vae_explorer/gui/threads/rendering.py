"""Renders picture grids for a dialog, outside the window's thread; newest request wins.

A thread of the dialog's own rather than the exploring thread, because a grid is of the snapshot that was
chosen when the dialog opened: what is previewed, copied and saved are the same weights, however long training
goes on meanwhile.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, Qt, Signal, Slot

from vae_explorer.errors import UserError

if TYPE_CHECKING:
    from vae_explorer.datasets.image_dataset import ImageDataset
    from vae_explorer.export.images import GridSpec
    from vae_explorer.models.interface import LatentModel
    from vae_explorer.models.snapshot import Snapshot

MOST_IMAGES = 5000  # of the data set, from which a grid of reconstructions chooses


@dataclass(frozen=True, slots=True, eq=False)
class GridRequest:
    """One grid to render: what, from which weights, and from whose images."""

    kind: str
    spec: GridSpec
    snapshot: Snapshot
    dataset: ImageDataset | None


@dataclass(frozen=True, slots=True, eq=False)
class RenderedGrid:
    """A request and its pixels: uint8, (H, W) or (H, W, 3), never changed."""

    request: GridRequest
    pixels: np.ndarray


class GridRendering(QObject):
    """Renders the newest request; made, called and closed in the GUI thread.

    rendered(RenderedGrid) and failed(GridRequest, Exception) are delivered in the GUI thread, and only for
    the request that is the newest at that moment.
    """

    rendered = Signal(object)
    failed = Signal(object, object)
    _answered = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._condition = threading.Condition()
        self._waiting: GridRequest | None = None
        self._newest: GridRequest | None = None
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._model: LatentModel | None = None
        self._model_stamp = 0
        self._answered.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    @property
    def is_busy(self) -> bool:
        """Whether the newest request has no answer yet."""
        return self._newest is not None

    def submit(self, request: GridRequest) -> None:
        """Ask for a grid; a request that still waits is forgotten."""
        with self._condition:
            if self._is_closing:
                return
            self._waiting = self._newest = request
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="grid rendering", daemon=True)
                self._thread.start()
            self._condition.notify()

    def close(self, deadline: float = 2.0) -> None:
        """Take no more requests and wait at most `deadline` seconds for the one in hand."""
        with self._condition:
            self._is_closing = True
            self._waiting = self._newest = None
            self._condition.notify()
        if self._thread is not None:
            self._thread.join(deadline)

    def _run(self) -> None:
        import torch

        # The cores belong to training, as in the exploring thread.
        torch.set_num_threads(1)
        while True:
            with self._condition:
                while self._waiting is None and not self._is_closing:
                    self._condition.wait()
                if self._is_closing:
                    return
                request, self._waiting = self._waiting, None
            assert request is not None
            try:
                answer: object = RenderedGrid(request, self._render(request))
            except Exception as error:  # told in the dialog, whatever it was; the thread goes on
                # Without its traceback the exception holds no tensors of the frames it came through.
                answer = error.with_traceback(None)
            with self._condition:
                if self._is_closing:
                    return
            self._answered.emit(request, answer)

    def _render(self, request: GridRequest) -> np.ndarray:
        import torch

        from vae_explorer.datasets.protocols import apply_protocol
        from vae_explorer.export.images import grid_conditions, needs_images, render_grid
        from vae_explorer.models.building import build_model
        from vae_explorer.models.catalogue import MODELS

        snapshot = request.snapshot
        if self._model is None or self._model_stamp != snapshot.stamp:
            # On the meta device, so that no number is drawn from the generator a training may be using.
            with torch.device("meta"):
                model = build_model(snapshot.model_name, snapshot.model_config, snapshot.data_space)
            # The snapshot is never changed, and neither are these weights: they can be shared.
            model.load_state_dict(dict(snapshot.weights), assign=True)
            self._model, self._model_stamp = model.requires_grad_(False).eval(), snapshot.stamp
        images_NCHW, labels_N, record = None, None, MODELS[snapshot.model_name]
        told: torch.Tensor | int | None = snapshot.told if record.condition == "class" else None
        if needs_images(request.kind, record) and request.dataset is not None:
            dataset = request.dataset
            index_N = dataset.heldout_index_N if len(dataset.heldout_index_N) else dataset.train_index_N
            device = next(self._model.parameters()).device
            stored_NCHW = dataset.images.gather(index_N[:MOST_IMAGES]).to(device)
            noise = torch.Generator(device=device).manual_seed(request.spec.seed)
            images_NCHW = apply_protocol(snapshot.protocol, stored_NCHW, noise)
            if dataset.labels_N is not None:
                labels_N = dataset.labels_N[index_N[:MOST_IMAGES]].to(device)
            if record.condition == "part":
                item = torch.tensor([snapshot.told], device=dataset.images.device)
                seen_1CHW = apply_protocol(snapshot.protocol, dataset.images.gather(item).to(device), noise)
                told = self._model.condition_of(seen_1CHW, None)
        conditions = grid_conditions(record, self._model, snapshot.data_space.num_classes, images_NCHW, labels_N, told)
        return render_grid(request.kind, self._model, request.spec, images_NCHW, conditions)

    @Slot(object, object)
    def _deliver(self, request: GridRequest, answer: object) -> None:
        if request is not self._newest:
            return
        self._newest = None
        if isinstance(answer, RenderedGrid):
            self.rendered.emit(answer)
        else:
            self.failed.emit(request, answer)


def told(error: Exception) -> UserError:
    """What a person reads about a failed rendering."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return UserError("There is not enough memory for this grid.", "Choose fewer cells or a smaller scale.")
    return UserError(
        f"The grid could not be rendered: {error or type(error).__name__}.",
        "Try another kind, or train again.",
    )
