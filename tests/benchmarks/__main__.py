"""`python -m tests.benchmarks [NAME ...] [--quick] [--out FOLDER]`: run benchmarks, print their tables, write
FOLDER/NAME.json. `models` takes the names of its rows after it."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

NAMES = {
    "training": "P1, P2: images/s of the classic network against the reference program's loop",
    "first_map": "P3: training seconds until the default preset's test bound is good",
    "recording": "what recording, checkpoints and frames cost the default preset",
    "lookback": "from the time slider to the drawn map of a recorded moment, and a movie of all",
    "start": "P4: first painted window, data on the map, first moving curve, --help",
    "window": "P5, P6, P7: frame gaps, decode latency and the cost of looking in the real window",
    "map": "P8, P9: pan and zoom with many codes, and how fast the map's background stands",
    "memory": "P10: memory of the app, and of training on a set larger than the memory allowed",
    "processes": "images/s of one and of two processes of torchrun on this machine",
    "likelihood": "P11: exact likelihood by quadrature and IWAE-500",
    "library": "opening a library of 1,000 runs, and the curves of 1,000,000 rows",
    "models": "every model at its published or measured number; followed by names of rows, those rows alone",
}

SHORTER = ("window",)
"""Which can be run shorter."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="; ".join(f"{k}: {v}" for k, v in NAMES.items()))
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="folder for the JSON files")
    parser.add_argument("--quick", action="store_true", help=f"a shorter run of {' and '.join(SHORTER)}: a smoke test")
    wishes = parser.parse_args()
    if wishes.quick and (endless := [name for name in wishes.names if name in NAMES and name not in SHORTER]):
        parser.error(f"there is no shorter run of {', '.join(endless)}")
    rows: list[str] = []
    if wishes.names[:1] == ["models"]:
        wishes.names, rows = wishes.names[:1], wishes.names[1:]
    unknown = [name for name in wishes.names if name not in NAMES]
    if unknown or not wishes.names:
        for name, summary in NAMES.items():
            print(f"{name:12} {summary}")
        return 2 if unknown else 0
    wishes.out.mkdir(parents=True, exist_ok=True)
    for name in wishes.names:
        module = importlib.import_module(f"tests.benchmarks.{name}")
        wish = {"quick": True} if wishes.quick else {}
        result = module.run(rows) if rows else module.run(**wish)
        (wishes.out / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
