from __future__ import annotations

import torch
from torch import nn

from vae_explorer.models.networks import PreciseLinear, full_precision, multilayer_perceptron


def test_widths_and_activation_are_as_asked() -> None:
    body = multilayer_perceptron((6, 5, 4, 3), "tanh")
    assert [(m.in_features, m.out_features) for m in body if isinstance(m, nn.Linear)] == [(6, 5), (5, 4), (4, 3)]
    assert [type(m).__name__ for m in body] == ["Linear", "Tanh", "Linear", "Tanh", "Linear"]


def test_full_precision_lifts_only_bfloat16() -> None:
    for given, found in (
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ):
        assert full_precision(torch.ones(2, dtype=given)).dtype == found


def test_codes_keep_more_digits_than_bfloat16_has() -> None:
    torch.manual_seed(0)
    body = multilayer_perceptron((32, 64, 2), "relu", output=PreciseLinear)
    with torch.autocast("cpu", torch.bfloat16):
        codes_ND = body(torch.randn(2000, 32))
    assert codes_ND.dtype == torch.float32
    assert len(codes_ND[:, 0].unique()) > 1990
    assert len(codes_ND[:, 0].unique()) > 1.3 * len(codes_ND[:, 0].bfloat16().unique())
