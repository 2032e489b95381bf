"""What may be ranked is ranked, what may not is not."""

from __future__ import annotations

import dataclasses

import pytest

from vae_explorer.errors import UserError
from vae_explorer.evaluation.comparison import MeasuredRun, comparison, require_comparable
from vae_explorer.evaluation.record import Measurement


def measured(name: str, value: float, **others: object) -> Measurement:
    facts = {
        "name": name, "value": value, "unit": "nats per image", "better": "lower", "protocol": "dynamic",
        "bound": "-ELBO(1)", "samples": 1, "n": 100, "split": "test", "seed": 0, "standard_error": 0.1,
    }  # fmt: skip
    return Measurement(**(facts | others))  # type: ignore[arg-type]


def run(name: str, *items: Measurement, dataset: str = "mnist", protocol: str = "dynamic") -> MeasuredRun:
    return MeasuredRun(name=name, dataset=dataset, protocol=protocol, measurements=items)


def test_runs_under_one_protocol_are_ranked_best_first() -> None:
    runs = [
        run("a", measured("elbo", 100.0), measured("kl", 20.0), measured("linear_probe", 0.8, bound=None)),
        run("b", measured("elbo", 95.0, seed=3), measured("kl", 25.0), measured("linear_probe", 0.9, bound=None)),
    ]
    found = {item.measure.name: item for item in comparison(runs)}
    assert list(found) == ["elbo", "kl", "linear_probe"]
    assert all(len(item.groups) == 1 and not item.refusal for item in found.values())
    order = {name: [run_name for run_name, _ in item.groups[0]] for name, item in found.items()}
    assert order == {"elbo": ["b", "a"], "kl": ["a", "b"], "linear_probe": ["b", "a"]}


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"protocol": "grey"}, "the protocol differs: dynamic and grey"),
        ({"bound": "-ELBO(8)", "samples": 8}, "the bound differs: -ELBO(1) and -ELBO(8)"),
        ({"n": 50}, "the number of images differs: 100 and 50"),
        ({"split": "heldout"}, "the split differs: test and heldout"),
        ({"detail": {"feature_digest": "abc"}}, "the features differ"),
        ({"detail": {"binarisation_seed": 5}}, "the binarisation seed differs"),
    ],
)
def test_what_differs_is_neither_ranked_nor_put_together(others: dict[str, object], words: str) -> None:
    odd = run("b", measured("elbo", 1.0, **others))
    runs = [run("a", measured("elbo", 100.0)), odd, run("c", measured("elbo", 99.0))]
    (found,) = comparison(runs)
    assert [[name for name, _ in group] for group in found.groups] == [["c", "a"], ["b"]]
    assert words in found.refusal
    assert found.refusal.startswith("-ELBO is not ranked")
    assert found.hint.endswith(".")


def test_other_data_are_refused_before_anything_is_measured() -> None:
    with pytest.raises(UserError, match="a has the protocol grey and b has dynamic") as caught:
        require_comparable([run("a", protocol="grey"), run("b")])
    assert "one by one" in caught.value.hint
    with pytest.raises(UserError, match="a has the data set mnist and b has sprites"):
        require_comparable([run("a"), run("b", dataset="sprites")])
    require_comparable([run("a"), run("b")])


def test_a_measure_that_one_run_lacks_is_still_shown() -> None:
    runs = [run("a", measured("elbo", 100.0)), run("b")]
    (found,) = comparison(runs)
    assert found.groups == ((("a", runs[0].measurements[0]),),)
    assert not found.refusal


def test_features_are_compared_by_their_digest_alone() -> None:
    same = {"detail": {"feature_digest": "abc", "floor": 0.3}, "bound": None}
    other = dataclasses.replace(measured("frechet", 4.0, **same), detail={"feature_digest": "abc", "floor": 0.4})
    (found,) = comparison([run("a", measured("frechet", 5.0, **same)), run("b", other)])
    assert [name for name, _ in found.groups[0]] == ["b", "a"]
