"""A registry: the frozen records of one kind (models, data sets, protocols, measures) by name.

Menus, forms, command-line help, documentation and contract tests are derived from the records, so a new one needs no
edit anywhere else.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

from vae_explorer.errors import UserError, nearest_hint, quoted


class Record(Protocol):
    """What every record says of itself."""

    @property
    def name(self) -> str:
        """The word used in files and on the command line."""

    @property
    def title(self) -> str:
        """The words used in the window."""

    @property
    def summary(self) -> str:
        """One sentence."""

    @property
    def reference(self) -> str:
        """Paper, or where the thing comes from."""


RecordT = TypeVar("RecordT", bound=Record)


class Registry(Generic[RecordT]):
    """Records of one kind in the order in which they were added."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._records: dict[str, RecordT] = {}

    def add(self, record: RecordT) -> RecordT:
        """Add a record; its name must be new."""
        assert record.name not in self._records, f"two {self.kind} records are named {record.name}"
        self._records[record.name] = record
        return record

    def names(self) -> tuple[str, ...]:
        """All names, in order of addition."""
        return tuple(self._records)

    def __getitem__(self, name: str) -> RecordT:
        """The record of that name; raises UserError that names the nearest one."""
        try:
            return self._records[name]
        except KeyError:
            raise UserError(
                f"There is no {self.kind} named {quoted(name)}.", nearest_hint(name, self._records)
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._records

    def __iter__(self) -> Iterator[RecordT]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)


def function_at(place: str) -> Any:
    """The function that a record names as `package.module:function`, so that reading the record imports no torch."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
