"""Linear discriminant analysis against scikit-learn, its own definition, and the measured figures of MNIST."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis as SklearnLDA

from vae_explorer.datasets.image_dataset import load_dataset, load_test_split
from vae_explorer.datasets.protocols import apply_protocol
from vae_explorer.errors import SettingError
from vae_explorer.models.building import build_model
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.interface import Batch
from vae_explorer.models.lda import LinearDiscriminantAnalysis
from vae_explorer.models.lda_config import LDA, LDAConfig

SHAPE = (1, 3, 4)
ONE = torch.tensor(1.0)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture
def batch() -> Batch:
    """300 items of four classes in 12 numbers that are correlated, of which the last is the same for all."""
    generator = torch.Generator().manual_seed(5)
    label_N = torch.tensor([0, 1, 2, 0, 3, 1, 0, 2, 0, 1]).repeat(30)
    mixing_PP = torch.randn(12, 12, generator=generator)
    x_NP = (torch.randn(300, 12, generator=generator) + torch.randn(4, 12, generator=generator)[label_N]) @ mixing_PP
    x_NP[:, -1] = 0.25
    return Batch(x_NP.unflatten(-1, SHAPE), torch.arange(300), label_N)


def fitted(batch: Batch, dimensions: int = 3, batch_size: int = 50) -> LinearDiscriminantAnalysis:
    model = build_model("lda", LDAConfig(latent_dimensions=dimensions), DataSpace(SHAPE, 4))
    assert batch.label_B is not None
    for index_B in batch.index_B.split(batch_size):
        model.learn(Batch(batch.x_BCHW[index_B], index_B, batch.label_B[index_B]))
    assert model.end_epoch()
    return cast("LinearDiscriminantAnalysis", model)


def scatters(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """S_w and S_b by their definition, (P, P) float64."""
    x_NP, label_N = batch.x_BCHW.flatten(1).double(), batch.label_B
    assert label_N is not None
    within_PP, between_PP = torch.zeros(12, 12).double(), torch.zeros(12, 12).double()
    for label in range(4):
        of_class_NP = x_NP[label_N == label]
        within_PP += torch.cov(of_class_NP.T, correction=0) * len(of_class_NP) / len(x_NP)
        offset_P = of_class_NP.mean(0) - x_NP.mean(0)
        between_PP += torch.outer(offset_P, offset_P) * len(of_class_NP) / len(x_NP)
    return within_PP, between_PP


def test_axes_solve_the_generalised_eigenproblem(batch: Batch) -> None:
    within_PP, between_PP = scatters(batch)
    axes_DP = fitted(batch).axes_DP.double()
    torch.testing.assert_close(axes_DP @ within_PP @ axes_DP.T, torch.eye(3).double(), atol=1e-4, rtol=0)
    ratios_DD = axes_DP @ between_PP @ axes_DP.T
    ratios_D = ratios_DD.diagonal()
    torch.testing.assert_close(ratios_DD, torch.diag(ratios_D), atol=1e-4, rtol=0)
    assert (ratios_D[:-1] > ratios_D[1:]).all()
    residual = axes_DP @ between_PP - ratios_D[:, None] * (axes_DP @ within_PP)
    assert residual.abs().max() < 1e-3 * (axes_DP @ between_PP).abs().max()


def test_classes_and_their_odds_are_scikit_learns(batch: Batch) -> None:
    model, x_NP = fitted(batch), batch.x_BCHW.flatten(1).double().numpy()
    assert batch.label_B is not None
    # Without the number that never varies, which scikit-learn's solver cannot take; covariance divided by N as here.
    theirs = SklearnLDA(solver="lsqr").fit(x_NP[:, :-1], batch.label_B.numpy())
    assert np.array_equal(model.classify(batch.x_BCHW).numpy(), theirs.predict(x_NP[:, :-1]))
    probabilities = torch.softmax(model.class_log_odds(batch.x_BCHW), -1).numpy()
    np.testing.assert_allclose(probabilities, theirs.predict_proba(x_NP[:, :-1]), atol=1e-3)
    accuracy = model.objective(batch, ONE, None).terms["accuracy"]
    assert float(accuracy) == pytest.approx(theirs.score(x_NP[:, :-1], batch.label_B.numpy()))


def test_a_place_is_shown_as_the_regression_of_pictures_on_discriminants(batch: Batch) -> None:
    model = fitted(batch, 2)
    within_PP, _ = scatters(batch)
    axes_DP, x_NP = model.axes_DP.double(), batch.x_BCHW.flatten(1).double()
    y_BD = torch.tensor([[0.0, 0.0], [1.5, -2.0]])
    slope_PD = within_PP @ axes_DP.T @ torch.linalg.inv(axes_DP @ within_PP @ axes_DP.T)
    expected_BP = x_NP.mean(0) + y_BD.double() @ slope_PD.T
    torch.testing.assert_close(model.decode(y_BD).mean_BCHW.flatten(1).double(), expected_BP, atol=1e-3, rtol=1e-3)
    # Within a class it is what least squares finds.
    assert batch.label_B is not None
    inside_NP = torch.cat([x_NP[batch.label_B == k] - x_NP[batch.label_B == k].mean(0) for k in range(4)])
    found_DP = torch.linalg.lstsq(inside_NP @ axes_DP.T, inside_NP).solution
    torch.testing.assert_close(model.patterns_DP.double(), found_DP, atol=1e-3, rtol=1e-3)
    assert "regression onto discriminants, not an inverse" in LDA.map_note


def test_a_batch_with_few_classes_or_one_item_leaves_finite_weights(batch: Batch) -> None:
    assert batch.label_B is not None
    model = build_model("lda", LDAConfig(latent_dimensions=3), DataSpace(SHAPE, 4))
    for index_B in (torch.tensor([0]), torch.tensor([0, 1]), (batch.label_B < 2).nonzero()[:30, 0]):
        objective = model.learn(Batch(batch.x_BCHW[index_B], index_B, batch.label_B[index_B]))
        assert all(torch.isfinite(term) for term in objective.terms.values())
        assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert (cast("LinearDiscriminantAnalysis", model).classify(batch.x_BCHW) < 2).all(), "classes not seen yet"


def test_what_it_needs_is_said() -> None:
    with pytest.raises(SettingError) as told:
        build_model("lda", LDAConfig(), DataSpace(SHAPE))
    assert "needs labels" in told.value.message
    with pytest.raises(SettingError) as told:
        build_model("lda", LDAConfig(latent_dimensions=4), DataSpace(SHAPE, 4))
    assert told.value.key == "model.latent_dimensions"
    assert "at most 3" in told.value.hint


@pytest.mark.slow
def test_mnist_gives_the_measured_figures() -> None:
    """MODELS.md 3.1: accuracy 0.874; 5-NN (first 10,000 training images, first 2,000 test) on 2 and 9 axes."""
    dataset, test = load_dataset("mnist", 0), load_test_split("mnist")
    assert dataset.labels_N is not None
    assert test.labels_N is not None
    model = build_model("lda", LDAConfig(latent_dimensions=9), DataSpace((1, 28, 28), 10))
    first_NCHW = apply_protocol("grey", dataset.images.gather(torch.arange(10_000)))
    for index_B in torch.arange(60_000).split(6_000):
        x_BCHW = apply_protocol("grey", dataset.images.gather(index_B))
        model.learn(Batch(x_BCHW, index_B, dataset.labels_N[index_B]))
    model.end_epoch()
    x_NCHW = apply_protocol("grey", test.images.gather(torch.arange(10_000)))
    accuracy = model.objective(Batch(x_NCHW, torch.arange(10_000), test.labels_N), ONE, None).terms["accuracy"]
    assert float(accuracy) == pytest.approx(0.874, abs=0.001)
    known_ND, asked_ND = model.encode(first_NCHW).mean, model.encode(x_NCHW[:2_000]).mean
    assert isinstance(known_ND, torch.Tensor)
    assert isinstance(asked_ND, torch.Tensor)
    for axes, share in ((2, 0.492), (9, 0.880)):
        nearest = torch.cdist(asked_ND[:, :axes], known_ND[:, :axes]).topk(5, largest=False).indices
        found = dataset.labels_N[nearest].mode(1).values == test.labels_N[:2_000]
        assert float(found.float().mean()) == pytest.approx(share, abs=0.003)
