"""Reading a text file that somebody else is still appending to: whole lines, once each, in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vae_explorer.errors import FileError
from vae_explorer.runs import files
from vae_explorer.runs.run_directory import require_plain_file

BLOCK_BYTES = 1_048_576
_TAIL_BYTES = 64
_HINT = "Choose a folder that training made."


class Block(NamedTuple):
    """Whole lines and the place in the file where they begin; one that begins at 0 is the start of a file, perhaps of
    another file than before.
    """

    offset: int
    content: bytes


class GrowingFile:
    """A file and how far it has been read.

    What was read is told by the last bytes of it, not by the file's number on its disk: a program that keeps folders
    alike brings the same file under another number. Where those bytes are others, or are gone, the file was rewritten
    or cut and is read from its start again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self._tail = b""
        self._seen = (-1, -1)
        self._was_there = False

    def new_blocks(self) -> Iterator[Block]:
        """The whole lines that were added since; a last line without its end waits for the next time.

        A file that is not there yet has none. Raises FileError where one that was there is gone, or where what is
        there cannot be read or is no text of lines; the next call looks again.
        """
        if not files.exists(self.path):
            if self._was_there:
                raise FileError(self.path, f"{self.path} is gone.", "What was read of it before is still shown.")
            return
        require_plain_file(self.path, _HINT)
        self._was_there = True
        try:
            status = self.path.stat()
            state = (status.st_size, status.st_mtime_ns)
            if state == self._seen:
                return
            with self.path.open("rb") as file:
                file.seek(max(0, self.offset - len(self._tail)))
                if file.read(len(self._tail)) != self._tail:
                    self.offset, self._tail = 0, b""
                    file.seek(0)
                while content := file.read(BLOCK_BYTES):
                    length = content.rfind(b"\n") + 1
                    if not length and len(content) == BLOCK_BYTES:
                        raise FileError(
                            self.path, f"{self.path} has a line of more than {BLOCK_BYTES:,} bytes.",
                            "It was not written by VAE Explorer.",
                        )  # fmt: skip
                    if not length:
                        break
                    begin = self.offset
                    self.offset += length
                    self._tail = (self._tail + content[:length])[-_TAIL_BYTES:]
                    file.seek(self.offset)
                    yield Block(begin, content[:length])
        except OSError as error:
            raise files.file_error(self.path, error, "read") from error
        self._seen = state
