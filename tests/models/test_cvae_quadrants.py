"""The conditional VAE that completes a picture of which quadrants are given."""

from __future__ import annotations

import pytest
import torch

from vae_explorer.errors import SettingError
from vae_explorer.models.building import build_model
from vae_explorer.models.cvae_quadrants import QuadrantsCVAE, is_given
from vae_explorer.models.cvae_quadrants_config import CVAEQuadrantsConfig
from vae_explorer.models.data_space import DataSpace
from vae_explorer.models.interface import Batch

SHAPE = (2, 7, 6)


def built(given: int = 2, protocol: str = "grey", *, baseline_epochs: int = 1, trained: bool = True) -> QuadrantsCVAE:
    torch.manual_seed(0)
    config = CVAEQuadrantsConfig(
        given_quadrants=given, hidden_widths=(16,), latent_dimensions=2, baseline_epochs=baseline_epochs
    )
    model = build_model("cvae-quadrants", config, DataSpace(SHAPE, 0, protocol))
    assert isinstance(model, QuadrantsCVAE)
    if trained:
        for parameter in model.parameters():
            parameter.data.normal_(0.0, 0.4)
        model.end_epoch()
    return model


def a_batch(num: int = 6) -> Batch:
    return Batch(torch.rand(num, *SHAPE, generator=torch.Generator().manual_seed(1)), torch.arange(num))


def test_one_two_and_three_quadrants_are_given() -> None:
    def drawn(number: int) -> list[str]:
        return ["".join("#" if known else "." for known in row) for row in is_given(number, 3, 4)]

    assert drawn(1) == ["....", "##..", "##.."]
    assert drawn(2) == ["##..", "##..", "##.."]
    assert drawn(3) == ["####", "##..", "##.."]


@pytest.mark.parametrize("protocol", ["grey", "gaussian"])
@pytest.mark.parametrize("given", [1, 2, 3])
def test_given_pixels_are_never_scored_and_shown_as_given(given: int, protocol: str) -> None:
    model, batch = built(given, protocol), a_batch()
    mask_HW = torch.tensor(is_given(given, *SHAPE[1:]))
    condition = model.condition_of(batch.x_BCHW, None)
    decoded = model.decode(torch.randn(6, 2), condition)
    shown = decoded.mean_BCHW
    assert torch.equal(shown[:, :, mask_HW], batch.x_BCHW[:, :, mask_HW])
    assert not torch.allclose(shown[:, :, ~mask_HW], batch.x_BCHW[:, :, ~mask_HW], atol=0.01)
    other_given = torch.where(mask_HW, torch.rand_like(batch.x_BCHW), batch.x_BCHW)
    assert torch.equal(decoded.log_prob(other_given), decoded.log_prob(batch.x_BCHW))
    other_rest = torch.where(mask_HW, batch.x_BCHW, 1 - batch.x_BCHW)
    assert not torch.allclose(decoded.log_prob(other_rest), decoded.log_prob(batch.x_BCHW))
    drawn = decoded.sample(torch.Generator().manual_seed(0))
    assert torch.equal(drawn[:, :, mask_HW], batch.x_BCHW[:, :, mask_HW])


def test_the_score_of_the_rest_is_its_cross_entropy() -> None:
    model, batch = built(1), a_batch()
    decoded = model.decode(torch.randn(6, 2), model.condition_of(batch.x_BCHW, None))
    rest_HW = ~torch.tensor(is_given(1, *SHAPE[1:]))
    mean, x = (pictures[:, :, rest_HW].double() for pictures in (decoded.mean_BCHW, batch.x_BCHW))
    by_hand = (x * mean.log() + (1 - x) * (1 - mean).log()).sum((1, 2))
    assert torch.allclose(decoded.log_prob(batch.x_BCHW).double(), by_hand, rtol=1e-4)
    pairs = decoded.log_prob_pairs(batch.x_BCHW)
    assert torch.allclose(pairs.diagonal(), by_hand, rtol=1e-4)


def test_what_is_not_given_reaches_only_the_recognition_network() -> None:
    model, batch = built(2), a_batch()
    mask_HW = torch.tensor(is_given(2, *SHAPE[1:]))
    other = torch.where(mask_HW, batch.x_BCHW, 1 - batch.x_BCHW)
    told, told_other = model.condition_of(batch.x_BCHW, None), model.condition_of(other, None)
    assert torch.equal(told, told_other)
    z_BD = torch.randn(6, 2)
    assert torch.equal(model.log_prior(z_BD, told), model.log_prior(z_BD, told_other))
    assert not torch.allclose(model.encode(batch.x_BCHW, told).mean, model.encode(other, told).mean)
    # What is given reaches both.
    flipped = model.condition_of(1 - batch.x_BCHW, None)
    assert not torch.allclose(model.log_prior(z_BD, told), model.log_prior(z_BD, flipped))


def test_the_objective_is_the_bound_on_the_rest_given_the_part() -> None:
    model, batch = built(2), a_batch()
    objective = model.objective(batch, torch.tensor(3.0), torch.Generator().manual_seed(2))
    condition = model.condition_of(batch.x_BCHW, None)
    posterior, prior = model.encode(batch.x_BCHW, condition), model.prior_of(condition)
    z_BD = posterior.sample(torch.Generator().manual_seed(2))
    log_prob_B = model.decode(z_BD, condition).log_prob(batch.x_BCHW)
    kl_B = torch.distributions.kl_divergence(
        torch.distributions.Normal(posterior.mean, posterior.standard_deviation),
        torch.distributions.Normal(prior.mean, prior.standard_deviation),
    ).sum(1)
    assert objective.loss.item() == pytest.approx((3 * kl_B - log_prob_B).mean().item(), rel=1e-5)
    assert float(objective.terms["kl"]) == pytest.approx(kl_B.mean().item(), rel=1e-5)
    baseline = -model.predict(condition).log_prob(batch.x_BCHW).mean()
    assert float(objective.terms["baseline"]) == pytest.approx(baseline.item(), rel=1e-6)


def test_the_baseline_learns_first_and_then_stays() -> None:
    model, batch = built(2, baseline_epochs=2, trained=False), a_batch()

    def touched() -> set[str]:
        model.zero_grad(set_to_none=True)
        model.objective(batch, torch.tensor(1.0), torch.Generator().manual_seed(0)).loss.backward()
        return {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.grad is not None}

    assert touched() == {"baseline"}
    assert not model.end_epoch()
    assert touched() == {"baseline"}
    before = model.objective(batch, torch.tensor(1.0), None).terms
    assert model.end_epoch()
    assert touched() == {"prior", "recognition", "generation"}
    # The others begin where the baseline has come to: nothing is added to it yet.
    after = model.objective(batch, torch.tensor(1.0), None).terms
    assert float(after["reconstruction"]) == pytest.approx(float(before["reconstruction"]), rel=1e-6)
    assert not model.end_epoch()


def test_the_stage_is_part_of_the_weights() -> None:
    model, batch = built(2, baseline_epochs=1, trained=False), a_batch()
    model.end_epoch()
    other = built(2, baseline_epochs=1, trained=False)
    other.load_state_dict(model.state_dict())
    found = [one.objective(batch, torch.tensor(1.0), torch.Generator().manual_seed(0)) for one in (model, other)]
    assert found[0].kl_D is not None
    assert found[1].kl_D is not None
    assert torch.equal(found[0].loss, found[1].loss)


def test_it_starts_at_the_mean_image() -> None:
    model = built(1, trained=False)
    mean_CHW = torch.rand(SHAPE, generator=torch.Generator().manual_seed(5)) * 0.8 + 0.1
    model.baseline[-1].weight.data.zero_()
    model.start_from(mean_CHW)
    rest_HW = ~torch.tensor(is_given(1, *SHAPE[1:]))
    decoded = model.decode(torch.zeros(1, 2), torch.zeros(1, *SHAPE))
    assert torch.allclose(decoded.mean_BCHW[0][:, rest_HW], mean_CHW[:, rest_HW], atol=1e-5)


def test_pictures_without_quadrants_are_refused() -> None:
    with pytest.raises(SettingError, match="no quadrants"):
        build_model("cvae-quadrants", CVAEQuadrantsConfig(), DataSpace((1, 1, 9)))
