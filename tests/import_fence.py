"""The rules on who may import whom, and that nobody reaches for the network, applied to the text of a module.

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
NETWORK = {
    "aiohttp", "asyncio", "ftplib", "http", "httpx", "imaplib", "poplib", "requests", "smtplib", "socketserver", "ssl",
    "torch.hub", "torch.utils.model_zoo", "urllib", "urllib3", "webbrowser", "websockets", "xmlrpc",
    "PySide6.QtNetwork", "PySide6.QtWebEngineWidgets", "PySide6.QtWebSockets",
}  # fmt: skip
"""Modules whose work is to reach another machine: nothing of the product does, unless it is asked for a download."""
HARMLESS_OF_SOCKET = {"gethostname", "socketpair"}
_ROW_OF = {part: row for row, parts in enumerate(ROWS) for part in parts}


def part_of(path: Path) -> str:
    """The part of the house to which a file under the package belongs: `training`, `cli`, `__init__`."""
    first = path.parts[0].removesuffix(".py")
    return next((part for part in ("cli", PYTHON_INTERFACE) if first.startswith(f"{part}_")), first)


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


def _network(source: str) -> Iterator[str]:
    for line, name in imported_modules(source):
        parts = name.split(".")
        if any(".".join(parts[:count]) in NETWORK for count in range(1, len(parts) + 1)):
            yield f"line {line}: {name} reaches for the network"
    for node in ast.walk(ast.parse(source)):
        is_socket = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "socket"
        names = [node.attr] if is_socket else []
        if isinstance(node, ast.ImportFrom) and node.module == "socket":
            names = [alias.name for alias in node.names]
        yield from (f"line {node.lineno}: socket.{name}" for name in names if name not in HARMLESS_OF_SOCKET)


def breaches(part: str, source: str) -> list[str]:
    """A line for each import in a module of that part of the house that the rules forbid."""
    found = list(_network(source))
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
