"""The models of MODELS.md at their numbers, from a clean seed through the command line: one row a training.

`python -m tests.benchmarks models [ROW ...]` trains and scores the rows named, or all of them. A row is a record:
what `train` is told, and which numbers of `evaluate` must lie where. A comparison needs several rows and says what must
hold between them; naming it trains its rows.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.reporting import machine, print_table

Numbers = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A number of `evaluate --json` on the 10,000 test images, and between which values it must lie (MODELS.md 3.1)."""

    measure: str
    low: float = -math.inf
    high: float = math.inf
    arguments: tuple[str, ...] = ()

    @property
    def bar(self) -> str:
        """The bar in words; empty where the number is only told."""
        if self.low > -math.inf and self.high < math.inf:
            return f"{self.low:g} to {self.high:g}"
        if self.high < math.inf:
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.low > -math.inf else ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One training: the arguments of `train` and what is checked after it."""

    name: str
    train: tuple[str, ...]
    checks: tuple[Check, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What must hold between rows: `judge` gets the numbers of each and says lines of (what, value, bar, met)."""

    name: str
    rows: tuple[str, ...]
    judge: Callable[[Mapping[str, Numbers]], list[tuple[str, str, str, bool]]]


@dataclass
class Outcome:
    """What a row came to."""

    numbers: dict[str, float] = field(default_factory=dict)
    seconds_to_train: float = 0.0
    seconds_to_score: float = 0.0


def notes_network(protocol: str, latents: int, epochs: int, *more: str) -> tuple[str, ...]:
    """784-400-J, ReLU, Adam 1e-3, batch 128, all 60,000 images, seed 0."""
    return ("--preset", "tutorial", "--protocol", protocol, "--latent-dim", str(latents), "--epochs", str(epochs),
            "--seed", "0", *more)  # fmt: skip


def iwae_network(samples: int) -> tuple[str, ...]:
    """784-200-200-50, tanh, batch 100, dynamic: few passes, so that both trainings end within minutes."""
    return ("--preset", "iwae", "--epochs", "4", "--seed", "0", "--set", f"model.importance_samples={samples}")


def rate_distortion(beta: float) -> Row:
    """784-400-20 at this beta; a few passes at a high rate, then down to zero, so that each beta comes to rest."""
    train = notes_network("dynamic", 20, 4, "--beta", f"{beta:g}", "--set", "training.learning_rate_schedule=cosine",
                          "--set", "training.learning_rate=0.003")  # fmt: skip
    return Row(name=f"beta-{beta:g}", train=train, checks=tuple(Check(measure=name) for name in ELBO))


ELBO = ("elbo", "reconstruction", "kl")
BETAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
IWAE_500 = Check(measure="iwae", arguments=("--samples", "500", "--limit", "1000"))


def codebook(num_codes: int, epochs: int) -> Row:
    """The preset of the VQ-VAE, by size of the codebook (MODELS.md 4.11)."""
    return Row(
        name=f"vqvae-{num_codes}",
        train=("--preset", "vqvae-mnist", "--set", f"model.num_codes={num_codes}", "--epochs", str(epochs)),
        checks=(
            Check(measure="perplexity", low=0.4 * num_codes),
            Check(measure="prior_saving", low=30.0),
            *(Check(measure=name) for name in ELBO),
        ),
    )


def quadrants(given: int, most: float) -> Row:
    """A picture completed from so many quadrants (MODELS.md 4.10)."""
    return Row(
        name=f"cvae-quadrants-{given}",
        train=("--preset", "cvae-quadrants", "--set", f"model.given_quadrants={given}", "--seed", "0"),
        checks=(Check(measure="completion", high=most), Check(measure="completion_baseline")),
    )


IWAE_100 = Check(measure="iwae", arguments=("--samples", "100", "--limit", "1000"))


ROWS: list[Row] = [
    *(
        Row(name=f"grey-{epochs}", train=notes_network("grey", 20, epochs), checks=(Check(measure="elbo"),))
        for epochs in (1, 2, 5)
    ),
    Row(
        name="grey-10",
        train=notes_network("grey", 20, 10),
        checks=(Check(measure="elbo", low=104.7, high=106.5), *(Check(measure=name) for name in ELBO[1:])),
    ),
    Row(
        name="dynamic-20",
        train=notes_network("dynamic", 20, 20),
        checks=(
            Check(measure="elbo", high=101.0),
            *(Check(measure=name) for name in (*ELBO[1:], "active_units")),
            Check(measure="linear_probe", low=0.81),
            Check(measure="nearest_neighbours", low=0.94),
        ),
    ),
    Row(
        name="dynamic-60",
        train=notes_network("dynamic", 20, 60),
        checks=(Check(measure="elbo", high=98.5), *(Check(measure=name) for name in ELBO[1:])),
    ),
    Row(
        name="dynamic-2d-20",
        train=notes_network("dynamic", 2, 20),
        checks=(
            Check(measure="elbo", high=157.0),
            Check(measure="nll_quadrature", arguments=("--limit", "4000"), high=151.0),
            Check(measure="linear_probe", low=0.24),
            Check(measure="nearest_neighbours", low=0.55),
        ),
    ),
    Row(
        name="beta4-5",
        train=notes_network("dynamic", 20, 5, "--beta", "4"),
        checks=(
            Check(measure="elbo", low=124.7, high=127.7),
            Check(measure="kl", low=7.8, high=9.8),
            Check(measure="active_units", low=14, high=20),
        ),
    ),
    *(
        Row(name=f"iwae-{samples}", train=iwae_network(samples), checks=(IWAE_500, Check(measure="active_units")))
        for samples in (1, 50)
    ),
    *(
        Row(
            name=f"ppca-{latents}",
            train=("--preset", "pca", "--model", "ppca", "--protocol", "gaussian", "--latent-dim", str(latents)),
            checks=(Check(measure="nll", low=nll - 0.1, high=nll + 0.1),),
        )
        for latents, nll in ((2, -14.4), (10, -186.0), (20, -306.6), (50, -517.6))
    ),
    Row(
        name="mixture-2d",  # the entropy of eight-gaussians is 1.698 nats
        train=("--preset", "mixture-2d", "--seed", "0"),
        checks=(Check(measure="nll", low=1.64, high=1.76),),
    ),
    Row(
        name="bernoulli-mixture-10",
        train=("--preset", "bernoulli-mixture", "--seed", "0"),
        checks=(Check(measure="nll", high=169.0),),
    ),
    *(rate_distortion(beta) for beta in BETAS),
    # The plane of PCA has 0.05567 and 0.02354: within half a per cent of it (MODELS.md 4.3). Its 20th and 21st variance
    # are .608 and .562: telling these two directions apart takes longer than the error shows.
    *(
        Row(
            name=f"linear-autoencoder-{latents}",
            train=notes_network(
                "grey",
                latents,
                epochs,
                "--model",
                "linear-autoencoder",
                "--batch-size",
                "1024",
                "--learning-rate",
                "0.01",
                "--precision",
                "float32",
                "--set",
                "training.learning_rate_schedule=cosine",
            ),
            checks=(Check(measure="mse", high=high),),
        )
        for latents, epochs, high in ((2, 60, 0.05595), (20, 200, 0.02366))
    ),
    *(
        Row(
            name=f"autoencoder-{latents}",
            train=notes_network("grey", latents, 15, "--model", "autoencoder"),
            checks=(Check(measure="mse", high=high), Check(measure="psnr"), Check(measure="nearest_neighbours")),
        )
        for latents, high in ((2, 0.0434), (20, 0.0083))
    ),
    Row(
        name="denoising-autoencoder-20",
        train=notes_network("grey", 20, 15, "--model", "denoising-autoencoder"),
        checks=(
            Check(measure="denoising_error", high=0.011),
            Check(measure="mse", high=0.0121),
            Check(measure="nearest_neighbours"),
        ),
    ),
    *(quadrants(given, most) for given, most in ((1, 75.0), (2, 53.0), (3, 25.5))),
    Row(
        name="cvae-2d",
        train=("--preset", "cvae", "--seed", "0"),
        checks=(Check(measure="told_class", low=0.97), Check(measure="nll_quadrature", arguments=("--limit", "4000"))),
    ),
    Row(name="unconditional-12", train=notes_network("dynamic", 20, 12), checks=(IWAE_100,)),
    Row(
        name="cvae-12",
        train=notes_network(
            "dynamic", 20, 12, "--model", "cvae", "--set", "model.hidden_widths=400", "--set", "model.prior=learned"
        ),
        checks=(IWAE_100,),
    ),
    *(codebook(num_codes, epochs) for num_codes, epochs in ((64, 4), (512, 6))),
]


def _fifty_samples_beat_one(numbers: Mapping[str, Numbers]) -> list[tuple[str, str, str, bool]]:
    gain = numbers["iwae-1"]["iwae"] - numbers["iwae-50"]["iwae"]
    return [("IWAE-500 of k=1 less that of k=50, nats", f"{gain:.2f}", "at least 1.2", gain >= 1.2)]


def _beta_1_is_best(numbers: Mapping[str, Numbers]) -> list[tuple[str, str, str, bool]]:
    rows = [numbers[f"beta-{beta:g}"] for beta in BETAS]
    rates, distortions = [row["kl"] for row in rows], [row["reconstruction"] for row in rows]
    sums = [row["elbo"] for row in rows]
    best = BETAS[sums.index(min(sums))]

    def shown(values: Sequence[float]) -> str:
        return " ".join(f"{value:.1f}" for value in values)

    return [
        ("beta", " ".join(f"{beta:g}" for beta in BETAS), "", True),
        ("rate R, nats", shown(rates), "falls", rates == sorted(rates, reverse=True)),
        ("distortion D, nats", shown(distortions), "rises", distortions == sorted(distortions)),
        ("R + D, nats", shown(sums), "least at beta 1", best == 1.0),
    ]


def _latents_beat_the_baseline(numbers: Mapping[str, Numbers]) -> list[tuple[str, str, str, bool]]:
    lines = []
    for given, least in ((1, 20.0), (2, 8.0), (3, 0.5)):
        row = numbers[f"cvae-quadrants-{given}"]
        gain = row["completion_baseline"] - row["completion"]
        lines.append((f"{given} given: below the baseline, nats", f"{gain:.2f}", f"at least {least:g}", gain >= least))
    return lines


def _the_class_tells(numbers: Mapping[str, Numbers]) -> list[tuple[str, str, str, bool]]:
    gain = numbers["unconditional-12"]["iwae"] - numbers["cvae-12"]["iwae"]
    return [("IWAE-100 without the class less that with it, nats", f"{gain:.2f}", "at least 2", gain >= 2.0)]


COMPARISONS: list[Comparison] = [
    Comparison(
        name="completion",
        rows=tuple(f"cvae-quadrants-{given}" for given in (1, 2, 3)),
        judge=_latents_beat_the_baseline,
    ),
    Comparison(name="class-told", rows=("unconditional-12", "cvae-12"), judge=_the_class_tells),
    Comparison(name="iwae-gain", rows=("iwae-1", "iwae-50"), judge=_fifty_samples_beat_one),
    Comparison(name="rate-distortion", rows=tuple(f"beta-{beta:g}" for beta in BETAS), judge=_beta_1_is_best),
]


def run(names: Sequence[str] = ()) -> dict[str, Any]:
    """Train, score and print the rows and comparisons of these names, or all."""
    rows = {row.name: row for row in ROWS}
    comparisons = {comparison.name: comparison for comparison in COMPARISONS}
    unknown = [name for name in names if name not in rows and name not in comparisons]
    if unknown:
        raise SystemExit(f"There is no row {unknown[0]}. Choose from: {', '.join([*rows, *comparisons])}.")
    chosen = list(names) or [*rows, *comparisons]
    wanted = [part for name in chosen for part in (comparisons[name].rows if name in comparisons else (name,))]
    outcomes: dict[str, Outcome] = {}
    for name in dict.fromkeys(wanted):
        outcomes[name] = train_and_score(rows[name])
        print_table(f"{name}: train {' '.join(rows[name].train)}", _HEADER, _lines(rows[name], outcomes[name]))
    for name in chosen:
        if name in comparisons:
            found = comparisons[name].judge({row: outcomes[row].numbers for row in comparisons[name].rows})
            lines = [(what, value, bar, "yes" if met else "NO") for what, value, bar, met in found]
            print_table(name, ("what", "value", "bar", "met"), lines)
    return {"machine": machine(), "rows": {name: vars(outcome) for name, outcome in outcomes.items()}}


_HEADER = ("measure", "value", "bar", "met", "training", "scoring")


def _lines(row: Row, outcome: Outcome) -> list[tuple[str, ...]]:
    lines = []
    for check in row.checks:
        value = outcome.numbers[check.measure]
        met = ("yes" if check.low <= value <= check.high else "NO") if check.bar else ""
        seconds = (f"{outcome.seconds_to_train:.0f} s", f"{outcome.seconds_to_score:.0f} s")
        shown = " ".join((check.measure, *check.arguments))
        lines.append(
            (
                shown,
                f"{value:.2f}" if abs(value) >= 1 else f"{value:.4g}",
                check.bar,
                met,
                *(seconds if check is row.checks[0] else ("", "")),
            )
        )
    return lines


def train_and_score(row: Row) -> Outcome:
    """One row in processes of its own."""
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder:
        run_folder = str(Path(folder) / row.name)
        begin = time.perf_counter()
        _command("train", *row.train, "--run-dir", run_folder)
        outcome.seconds_to_train = time.perf_counter() - begin
        begin = time.perf_counter()
        for arguments in dict.fromkeys(check.arguments for check in row.checks):
            measures = ",".join(check.measure for check in row.checks if check.arguments == arguments)
            said = json.loads(_command("evaluate", run_folder, "--json", "--measures", measures, *arguments))
            outcome.numbers |= {item["name"]: float(item["value"]) for item in said["measures"]}
        outcome.seconds_to_score = time.perf_counter() - begin
    return outcome


def _command(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "vae_explorer", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"vae-explorer {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout
