"""What a person says of a run: a title, notes and tags, in a small notes.toml in its folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from vae_explorer.config import read_toml
from vae_explorer.errors import FileError
from vae_explorer.runs import files
from vae_explorer.runs.own_files import own_file

NOTES_FILE = "notes.toml"
MOST_TITLE_LETTERS, MOST_NOTE_LETTERS, MOST_TAG_LETTERS, MOST_TAGS = 200, 20_000, 60, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNotes:
    """All of it may be empty. The title is one line, a tag one word or a few, without commas."""

    title: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()


def tidied(title: str, notes: str, tags: Iterable[str]) -> RunNotes:
    """What a person or a file says, within bounds: blanks trimmed, empty and repeated tags left out."""
    words = (" ".join(word.split())[:MOST_TAG_LETTERS] for tag in tags for word in tag.split(","))
    return RunNotes(
        title=" ".join(title.split())[:MOST_TITLE_LETTERS],
        notes=notes.strip()[:MOST_NOTE_LETTERS],
        tags=tuple(dict.fromkeys(filter(None, words)))[:MOST_TAGS],
    )


def read_notes(folder: Path) -> RunNotes:
    """The notes of a run; empty where there are none. Raises FileError where the file cannot be read."""
    path = folder / NOTES_FILE
    if own_file(path) is None:
        return RunNotes()
    table = read_toml(path)
    title, notes, tags = (table.get(key) for key in ("title", "notes", "tags"))
    return tidied(
        title if isinstance(title, str) else "",
        notes if isinstance(notes, str) else "",
        [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
    )


def write_notes(folder: Path, notes: RunNotes) -> RunNotes:
    """Keep the notes, all of them or none, and what else a person wrote into the file; returns them tidied.

    Raises FileError, with what was there before intact.
    """
    path, kept = folder / NOTES_FILE, tidied(notes.title, notes.notes, notes.tags)
    try:
        table = read_toml(path) if own_file(path) is not None else {}
    except FileError as error:
        hint = f"Mend {NOTES_FILE} or remove it, then write the notes again."
        raise FileError(path, f"{error.message.rstrip('.')}, so it was not replaced.", hint) from error
    found = {"title": kept.title, "notes": kept.notes, "tags": list(kept.tags)}
    table = {key: value for key, value in (table | found).items() if key not in found or value}
    if table:
        files.write_text_atomic(path, tomli_w.dumps(table))
    else:
        files.remove_file(path)
    return kept
