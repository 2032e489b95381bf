"""The graph of nearest neighbours among codes, and shortest ways through it.

The backbone of Isomap (Tenenbaum, de Silva, Langford, Science 290, 2000): every code is joined to its k nearest, both
ways, with the latent distance as length. All of it in short steps, on the exploring thread.

Legend: N codes, M nodes, K ends, E edges, D latent dimensions.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vae_explorer.errors import UserError
from vae_explorer.latent.geometry import Float64, Floats
from vae_explorer.latent.pacing import STEP_SECONDS

MOST_NODES = 4000
NEIGHBOURS = 12

_CHUNK_DISTANCES = 400_000

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class WeightedGraph:
    """Edges by node: those of node i are `targets_E` and `lengths_E` from `starts[i]` to `starts[i + 1]`."""

    starts: Ints
    targets_E: Ints
    lengths_E: Float64

    @property
    def num_nodes(self) -> int:
        """M."""
        return len(self.starts) - 1


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourGraph:
    """Evenly chosen codes z_MD with their ids, joined to their nearest neighbours.

    `num_bridges` edges were added between groups of codes that were not connected.
    """

    z_MD: Float64
    ids_M: Ints
    graph: WeightedGraph
    num_bridges: int


@dataclass(frozen=True, slots=True, eq=False)
class ShortestWays:
    """Distances from one node and the node before each on the way, -1 where there is none."""

    distance_M: Float64
    before_M: Ints

    def way_to(self, node: int) -> list[int]:
        """Nodes from the source to `node`; empty where it cannot be reached."""
        if not np.isfinite(self.distance_M[node]):
            return []
        way = [node]
        while self.before_M[way[-1]] >= 0:
            way.append(int(self.before_M[way[-1]]))
        return way[::-1]


def weighted_graph(num_nodes: int, from_E: Ints, to_E: Ints, lengths_E: Float64) -> WeightedGraph:
    """The graph of these edges, each usable both ways; edges of no finite length are left out."""
    good = np.isfinite(lengths_E)
    tails = np.concatenate([from_E[good], to_E[good]])
    heads = np.concatenate([to_E[good], from_E[good]])
    lengths = np.concatenate([lengths_E[good], lengths_E[good]])
    order = np.argsort(tails, kind="stable")
    starts = np.searchsorted(tails[order], np.arange(num_nodes + 1)).astype(np.int64)
    return WeightedGraph(starts, heads[order].astype(np.int64), lengths[order].astype(np.float64))


def shortest_ways(graph: WeightedGraph, source: int, target: int | None = None) -> Generator[None, None, ShortestWays]:
    """Dijkstra's algorithm in short steps; with a `target` it ends there."""
    starts, targets, lengths = graph.starts.tolist(), graph.targets_E.tolist(), graph.lengths_E.tolist()
    distance = [np.inf] * graph.num_nodes
    before = [-1] * graph.num_nodes
    distance[source] = 0.0
    queue = [(0.0, source)]
    began, num_settled = time.perf_counter(), 0
    while queue:
        here, node = heapq.heappop(queue)
        if here > distance[node]:
            continue
        if node == target:
            break
        for edge in range(starts[node], starts[node + 1]):
            there, reached = targets[edge], here + lengths[edge]
            if reached < distance[there]:
                distance[there], before[there] = reached, node
                heapq.heappush(queue, (reached, there))
        num_settled += 1
        if num_settled % 64 == 0 and time.perf_counter() - began > STEP_SECONDS:
            yield None
            began = time.perf_counter()
    return ShortestWays(np.array(distance), np.array(before, dtype=np.int64))


def neighbour_graph(codes_ND: Floats) -> Generator[None, None, NeighbourGraph]:
    """The graph of at most 4,000 finite codes, made connected. Raises UserError where no code is finite."""
    finite_N = np.flatnonzero(np.isfinite(codes_ND).all(axis=1))
    if not len(finite_N):
        raise UserError("There are no finite codes to walk through.", "Choose a straight path, or train further.")
    ids_M = finite_N[np.linspace(0, len(finite_N) - 1, min(MOST_NODES, len(finite_N))).astype(np.int64)]
    z_MD = np.asarray(codes_ND[ids_M], dtype=np.float64)
    num_nodes = len(z_MD)
    num_neighbours = min(NEIGHBOURS, num_nodes - 1)
    yield None
    from_E, to_E, lengths_E = yield from _nearest(z_MD, num_neighbours)
    low, high = np.minimum(from_E, to_E), np.maximum(from_E, to_E)
    _, once = np.unique(low * num_nodes + high, return_index=True)
    from_E, to_E, lengths_E = low[once], high[once], lengths_E[once]
    yield None
    bridges = yield from _bridges(z_MD, from_E, to_E)
    if bridges:
        pairs = np.array(bridges, dtype=np.int64)
        from_E, to_E = np.concatenate([from_E, pairs[:, 0]]), np.concatenate([to_E, pairs[:, 1]])
        lengths_E = np.linalg.norm(z_MD[from_E] - z_MD[to_E], axis=1)
    graph = weighted_graph(num_nodes, from_E, to_E, lengths_E)
    return NeighbourGraph(z_MD, ids_M.astype(np.int64), graph, len(bridges))


def way_between(graph: NeighbourGraph, ends_2D: Floats) -> Generator[None, None, Float64]:
    """The shortest way z_PD from the first end to the second; both are joined to their k nearest codes."""
    ends = np.asarray(ends_2D, dtype=np.float64)
    num_nodes = len(graph.z_MD)
    known = graph.graph
    tails = np.repeat(np.arange(num_nodes), np.diff(known.starts))
    is_once = tails < known.targets_E
    from_E, to_E, lengths_E = [tails[is_once]], [known.targets_E[is_once]], [known.lengths_E[is_once]]
    for number, end_D in enumerate(ends):
        distance_M = np.linalg.norm(graph.z_MD - end_D, axis=1)
        nearest = np.argsort(distance_M, kind="stable")[:NEIGHBOURS]
        from_E.append(nearest)
        to_E.append(np.full(len(nearest), num_nodes + number))
        lengths_E.append(distance_M[nearest])
    joined = weighted_graph(num_nodes + 2, np.concatenate(from_E), np.concatenate(to_E), np.concatenate(lengths_E))
    yield None
    ways = yield from shortest_ways(joined, num_nodes, num_nodes + 1)
    points: Float64 = np.concatenate([graph.z_MD, ends])[ways.way_to(num_nodes + 1)]
    return points


def _nearest(z_MD: Float64, num_neighbours: int) -> Generator[None, None, tuple[Ints, Ints, Float64]]:
    """Edges from every node to its nearest others."""
    num_nodes = len(z_MD)
    if num_neighbours < 1:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, np.zeros(0)
    z = torch.from_numpy(z_MD.astype(np.float32))
    rows = max(_CHUNK_DISTANCES // num_nodes, 1)
    found, lengths = [], []
    for start in range(0, num_nodes, rows):
        with torch.no_grad():
            part = z[start : start + rows]
            distances = torch.cdist(part, z, compute_mode="donot_use_mm_for_euclid_dist")
            own = torch.arange(len(part))
            distances[own, own + start] = torch.inf
            nearest = distances.topk(num_neighbours, largest=False)
        found.append(nearest.indices.numpy())
        lengths.append(nearest.values.double().numpy())
        yield None
    from_E = np.repeat(np.arange(num_nodes), num_neighbours)
    return from_E, np.concatenate(found).reshape(-1), np.concatenate(lengths).reshape(-1)


def _bridges(z_MD: Float64, from_E: Ints, to_E: Ints) -> Generator[None, None, list[tuple[int, int]]]:
    """Edges that join what is not connected: the smallest group to the nearest code outside, until all is one."""
    group_M = _groups(len(z_MD), from_E, to_E)
    z = torch.from_numpy(z_MD.astype(np.float32))
    bridges: list[tuple[int, int]] = []
    while True:
        names, sizes = np.unique(group_M, return_counts=True)
        if len(names) == 1:
            return bridges
        inside = np.flatnonzero(group_M == names[sizes.argmin()])
        outside = np.flatnonzero(group_M != names[sizes.argmin()])
        nearest, pair = np.inf, (0, 0)
        rows = max(_CHUNK_DISTANCES // len(outside), 1)
        for start in range(0, len(inside), rows):
            part = inside[start : start + rows]
            distances = torch.cdist(z[part], z[outside], compute_mode="donot_use_mm_for_euclid_dist")
            at = int(distances.argmin())
            if float(distances.reshape(-1)[at]) < nearest:
                nearest = float(distances.reshape(-1)[at])
                pair = int(part[at // len(outside)]), int(outside[at % len(outside)])
            yield None
        bridges.append(pair)
        group_M[inside] = group_M[pair[1]]


def _groups(num_nodes: int, from_E: Ints, to_E: Ints) -> Ints:
    """The smallest node of the connected part of every node, by handing labels along edges and jumping."""
    label_M = np.arange(num_nodes)
    while True:
        smaller_M = label_M.copy()
        np.minimum.at(smaller_M, from_E, label_M[to_E])
        np.minimum.at(smaller_M, to_E, label_M[from_E])
        smaller_M = smaller_M[smaller_M]
        if np.array_equal(smaller_M, label_M):
            return label_M
        label_M = smaller_M
