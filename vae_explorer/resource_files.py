"""The one place that knows where the shipped files are: data sets, presets, pictures.

In the source tree they lie in `resources/` beside the package; a wheel carries them inside it as
`_resources`.
"""

from __future__ import annotations

from pathlib import Path

from vae_explorer.errors import FileError

_PACKAGE = Path(__file__).resolve().parent


def resources_folder(package: Path = _PACKAGE) -> Path:
    """The folder of the shipped files; raises FileError where an installation has lost it."""
    for folder in (package / "_resources", package.parent / "resources"):
        if folder.is_dir():
            return folder
    raise FileError(
        package / "_resources",
        f"The files shipped with VAE Explorer are missing beside {package}.",
        "Install it again, or start it from a complete copy of the source.",
    )


def resource_path(*parts: str) -> Path:
    """One shipped file or folder, as in `resource_path("datasets", "mnist")`; raises FileError if absent."""
    path = resources_folder().joinpath(*parts)
    if not path.exists():
        raise FileError(
            path,
            f"The shipped file {path} is missing.",
            "Install VAE Explorer again, or start it from a complete copy of the source.",
        )
    return path
