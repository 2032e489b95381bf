from __future__ import annotations

from vae_explorer.runs.retention import KeptCheckpoint, steps_to_keep


def written_every(seconds: float, num: int, losses: dict[int, float] | None = None) -> list[KeptCheckpoint]:
    losses = losses or {}
    return [KeptCheckpoint(step, 7200.0 + step * seconds, losses.get(step)) for step in range(num)]


def test_the_newest_three_stay_and_the_first_of_the_hour() -> None:
    assert steps_to_keep(written_every(30.0, 10)) == {0, 7, 8, 9}


def test_the_best_stays_and_of_equally_good_ones_the_earliest() -> None:
    assert steps_to_keep(written_every(30.0, 10, {3: 5.0, 4: 4.0, 6: 4.0, 8: 9.0})) == {0, 4, 7, 8, 9}


def test_of_each_hour_one_stays_for_good() -> None:
    """As a run of eight hours writes them, with what was dropped dropped for good."""
    kept: list[KeptCheckpoint] = []
    for checkpoint in written_every(30.0, 8 * 120 + 1):
        kept.append(checkpoint)
        keep = steps_to_keep(kept)
        kept = [item for item in kept if item.step in keep]
    assert [item.step for item in kept] == [0, 120, 240, 360, 480, 600, 720, 840, 958, 959, 960]


def test_nothing_is_kept_of_nothing() -> None:
    assert steps_to_keep([]) == frozenset()
