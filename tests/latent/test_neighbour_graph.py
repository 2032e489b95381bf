from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from vae_explorer.errors import UserError
from vae_explorer.latent.neighbour_graph import (
    MOST_NODES,
    neighbour_graph,
    shortest_ways,
    way_between,
    weighted_graph,
)


def result_of(steps: Any) -> Any:
    while True:
        try:
            assert next(steps) is None
        except StopIteration as end:
            return end.value


def test_shortest_ways_are_those_of_trying_all_middle_nodes() -> None:
    generator = np.random.default_rng(0)
    tails, heads = generator.integers(0, 30, (2, 90))
    lengths = generator.random(90)
    all_pairs = np.full((30, 30), np.inf)
    np.fill_diagonal(all_pairs, 0.0)
    for tail, head, length in zip(tails, heads, lengths, strict=True):
        all_pairs[tail, head] = all_pairs[head, tail] = min(all_pairs[tail, head], length)
    for middle in range(30):
        all_pairs = np.minimum(all_pairs, all_pairs[:, [middle]] + all_pairs[[middle]])
    ways = result_of(shortest_ways(weighted_graph(30, tails, heads, lengths), 4))
    assert ways.distance_M == pytest.approx(all_pairs[4])
    way = ways.way_to(17)
    assert way[0] == 4
    assert way[-1] == 17


def test_edges_of_no_finite_length_are_no_way() -> None:
    graph = weighted_graph(3, np.array([0, 1]), np.array([1, 2]), np.array([1.0, np.nan]))
    ways = result_of(shortest_ways(graph, 0))
    assert ways.way_to(1) == [0, 1]
    assert ways.way_to(2) == []


def test_every_code_is_joined_to_its_nearest_both_ways() -> None:
    codes_ND = np.random.default_rng(1).normal(size=(300, 3)).astype(np.float32)
    found = result_of(neighbour_graph(codes_ND))
    distances = np.linalg.norm(codes_ND[:, None] - codes_ND[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :12]
    graph = found.graph
    for node in range(300):
        joined = set(graph.targets_E[graph.starts[node] : graph.starts[node + 1]].tolist())
        assert joined >= set(nearest[node].tolist())
        assert joined == set(nearest[node].tolist()) | set(np.flatnonzero((nearest == node).any(axis=1)).tolist())
    assert found.num_bridges == 0


def test_at_most_four_thousand_codes_evenly_and_only_finite_ones() -> None:
    codes_ND = np.random.default_rng(2).normal(size=(9000, 2)).astype(np.float32)
    codes_ND[::2] = np.nan
    found = result_of(neighbour_graph(codes_ND))
    assert len(found.ids_M) == MOST_NODES
    assert (found.ids_M % 2 == 1).all()
    assert found.ids_M[0] == 1
    assert found.ids_M[-1] == 8999
    assert np.diff(found.ids_M).max() <= 4


def test_groups_are_joined_by_their_nearest_pairs() -> None:
    generator = np.random.default_rng(3)
    blobs = [generator.normal(size=(60, 2)) * 0.1 + centre for centre in ([0, 0], [10, 0], [20, 0])]
    found = result_of(neighbour_graph(np.concatenate(blobs)))
    assert found.num_bridges == 2
    way_PD = result_of(way_between(found, np.array([[0.0, 0.0], [20.0, 0.0]])))
    widest = np.sort(np.linalg.norm(np.diff(way_PD, axis=0), axis=1))[-2:]
    gaps = [np.linalg.norm(a[:, None] - b[None], axis=2).min() for a, b in pairwise(blobs)]
    assert widest == pytest.approx(np.sort(gaps), rel=1e-5)


def test_the_way_follows_the_data_around_a_gap() -> None:
    angle = np.linspace(0.0, 1.5 * np.pi, 400)
    codes_ND = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = result_of(neighbour_graph(codes_ND))
    ends = codes_ND[[0, -1]] * 1.01
    way_PD = result_of(way_between(found, ends))
    assert way_PD[[0, -1]] == pytest.approx(ends)
    inner = way_PD[1:-1]
    assert np.linalg.norm(inner, axis=1) == pytest.approx(np.ones(len(inner)))
    assert np.linalg.norm(np.diff(way_PD, axis=0), axis=1).sum() == pytest.approx(1.5 * np.pi, rel=0.01)


@pytest.mark.parametrize("num", [1, 2, 5])
def test_few_codes_are_enough(num: int) -> None:
    codes_ND = np.arange(num * 2, dtype=np.float64).reshape(num, 2)
    way_PD = result_of(way_between(result_of(neighbour_graph(codes_ND)), np.array([[-1.0, 0.0], [9.0, 9.0]])))
    assert len(way_PD) >= 3


def test_codes_all_at_one_place_make_a_way() -> None:
    found = result_of(neighbour_graph(np.zeros((500, 2))))
    assert len(result_of(way_between(found, np.array([[-1.0, 0.0], [1.0, 0.0]])))) >= 3


def test_no_finite_code_is_said() -> None:
    with pytest.raises(UserError, match="no finite codes"):
        result_of(neighbour_graph(np.full((5, 2), np.nan)))
