"""The rules on who may import whom, applied to the text of a module.

Rows of the house from bottom to top: a module may import from rows below its own and from its own package,
never sideways and never up. Late imports and imports for type checkers count: they bind the design as much.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "vae_explorer"
ROWS = (
    ("errors",),
    ("registry", "resource_files", "draws"),
    ("config",),
    ("models", "datasets"),
    ("training", "latent", "evaluation"),
    ("runs",),
    ("export",),
    ("doctor", "notebook"),
    ("gui",),
    ("cli",),
    ("__main__",),
)
PYTHON_INTERFACE = "notebook"  # what `import vae_explorer` offers, loaded when it is asked for
QT = {"PySide6", "shiboken6", "pyqtgraph"}
_ROW_OF = {part: row for row, parts in enumerate(ROWS) for part in parts}


def part_of(path: Path) -> str:
    """The part of the house to which a file under the package belongs: `training`, `cli`, `__init__`."""
    first = path.parts[0].removesuffix(".py")
    return "cli" if first.startswith("cli_") else first


def imported_modules(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of every module that the source names in an import, wherever it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, f"relative import of {node.module}"
            elif node.module == PACKAGE:
                yield from ((node.lineno, f"{PACKAGE}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module or ""
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in {"import_module", "importlib.import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, str(node.args[0].value)


def breaches(part: str, source: str) -> list[str]:
    """A line for each import in a module of that part of the house that the rules forbid."""
    found = []
    for line, name in imported_modules(source):
        if name.startswith("relative import"):
            found.append(f"line {line}: {name}")
        if name.split(".")[0] in QT and part != "gui":
            found.append(f"line {line}: {name} outside gui")
        if name.startswith(f"{PACKAGE}.") and name != f"{PACKAGE}.__version__":
            other = part_of(Path(name.split(".")[1]))
            if (part, other) == ("__init__", PYTHON_INTERFACE):
                continue
            if other not in _ROW_OF:
                found.append(f"line {line}: {other} has no row in the house")
            elif other != part and (part not in _ROW_OF or _ROW_OF[other] >= _ROW_OF[part]):
                found.append(f"line {line}: {part} may not import {other}")
    return found
