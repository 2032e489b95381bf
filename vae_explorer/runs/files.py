"""The one module that writes files.

Whole files: a temporary name beside the target, flush, `fsync`, rename, `fsync` of the folder, so that a reader sees
the old content or the new, never a part. Append-only files: a line that could not be written whole is taken back.
Folders: made under a temporary name and renamed into place whole. Whatever the system refuses becomes a FileError.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from vae_explorer.errors import FileError

TEMPORARY_PREFIX = ".part-"
_TAIL_BYTES = 65_536  # the longest line of an append-only file that a cut can leave

_REASONS = {
    errno.ENOSPC: ("the disk is full", "Free some space or choose a folder on another disk."),
    errno.EDQUOT: ("your disk quota is used up", "Free some space or choose a folder on another disk."),
    errno.EACCES: ("permission is denied", "Choose a folder that you may write to, or change its permissions."),
    errno.EPERM: ("permission is denied", "Choose a folder that you may write to, or change its permissions."),
    errno.EROFS: ("the disk is read-only", "Choose a folder on a disk that can be written to."),
    errno.ENOENT: ("a folder on the way does not exist", "Check the path, or make the folder first."),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Choose a path that leads through folders only."),
    errno.EISDIR: ("it is a folder", "Choose the name of a file."),
    errno.EEXIST: ("something is there already", "Choose another name."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter name."),
    errno.ELOOP: ("its links lead in a circle", "Choose a path without that link."),
    errno.EIO: ("the disk reports an error", "Check the disk, or choose a folder on another one."),
}
_UNKNOWN_HINT = "Check the path and the disk, or choose another folder."


def file_error(path: Path, error: OSError, doing: str = "written") -> FileError:
    """The error a person reads when the system refused `path`; `doing` is `written`, `read` or another participle."""
    reason, hint = _REASONS.get(error.errno or 0, (error.strerror or str(error), _UNKNOWN_HINT))
    return FileError(path, f"{path} cannot be {doing}: {reason}.", hint)


def expanded(path: Path) -> Path:
    """The absolute path, with `~` and `~name` replaced by the home folder. Raises FileError where there is none."""
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise FileError(
            path, f"{path} names a home folder that this machine does not know.", "Write the path without ~."
        ) from error
    except OSError as error:
        raise FileError(
            path, "The folder that this program was started in is gone.", "Change to another folder and start again."
        ) from error


def exists(path: Path) -> bool:
    """Whether something is there; a path that cannot be looked at, or is no path at all, counts as nothing."""
    return os.path.exists(path)


def is_folder(path: Path) -> bool:
    """Whether a folder is there; a path that cannot be looked at counts as nothing."""
    return os.path.isdir(path)


def make_folder(path: Path) -> None:
    """Make the folder and those above it; one that is there already is fine. Raises FileError."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise file_error(path, error, "made into a folder") from error


def write_bytes_atomic(path: Path, content: bytes, check: Callable[[bytes], None] | None = None) -> None:
    """Replace the file's content, all of it or nothing; it is on the disk when this returns. Raises FileError.

    `check` is given what was read back from the disk before the file gets its name; what it raises passes through, and
    whatever stood under that name stays as it was.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
    try:
        _write_synced(temporary, content)
        if check is not None:
            check(read_bytes(temporary, len(content)))
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        remove_file(temporary)
        raise file_error(path, error) from error
    except BaseException:
        remove_file(temporary)
        raise


def write_text_atomic(path: Path, text: str) -> None:
    """`write_bytes_atomic` of the text in UTF-8."""
    write_bytes_atomic(path, text.encode("utf-8"))


def create_exclusive(path: Path, text: str) -> bool:
    """Make the file if nothing of that name exists, and say whether it was made. Raises FileError for other trouble."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        raise file_error(path, error) from error
    try:
        try:
            _write_all(handle, text.encode("utf-8"))
        finally:
            os.close(handle)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise file_error(path, error) from error
    return True


def touch(path: Path) -> None:
    """Set the time of the file's last change to now. Raises FileError."""
    try:
        os.utime(path)
    except OSError as error:
        raise file_error(path, error) from error


def append_text(path: Path, text: str) -> None:
    """Add whole lines at the end of the file, all of them or none. Raises FileError.

    Makes the file where there is none. A line that a kill or a full disk cut short is removed first, so that no later
    line is joined to it. Not synced: the lines outlive this process at once, and the machine within the system's own
    few seconds.
    """
    assert text.endswith("\n"), "append_text takes whole lines"
    end = -1
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        try:
            end = _end_of_whole_lines(handle)
            os.lseek(handle, end, os.SEEK_SET)
            _write_all(handle, text.encode("utf-8"))
        finally:
            os.close(handle)
    except OSError as error:
        # Also when closing failed: some disks say only then that they are full, and the caller will try again.
        if end >= 0:
            with contextlib.suppress(OSError):
                os.truncate(path, end)
        raise file_error(path, error) from error


def cut_after(path: Path, end: int) -> None:
    """Drop what the file holds from byte `end` on. Raises FileError."""
    try:
        os.truncate(path, end)
    except OSError as error:
        raise file_error(path, error) from error


def write_folder(path: Path, contents: Mapping[str, bytes]) -> None:
    """Make a folder of these files appear whole under its name, replacing one that is there. Raises FileError.

    Its files cannot disagree, since they arrive by one rename. A name may lead through folders, `train/events`.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
    try:
        os.makedirs(path.parent, exist_ok=True)
        os.mkdir(temporary)
        inner = {(temporary / name).parent for name in contents} - {temporary}
        for folder in inner:
            os.makedirs(folder, exist_ok=True)
        for name, content in contents.items():
            _write_synced(temporary / name, content)
        for folder in (*inner, temporary):
            _sync_folder(folder)
        # A folder cannot be renamed over a full one: the old one steps aside first and goes when the new one is there.
        aside = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
        replaced = exists(path)
        if replaced:
            os.rename(path, aside)
        try:
            os.rename(temporary, path)
        except OSError:
            if replaced:
                os.rename(aside, path)
            raise
        _sync_folder(path.parent)
        if replaced:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise file_error(path, error) from error


def remove_folder(path: Path) -> None:
    """Remove the folder; it stops being there under its name at once, so that a kill leaves no half of it.

    What cannot be removed stays: it is only ever called for what is no longer needed.
    """
    aside = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
    with contextlib.suppress(OSError):
        os.rename(path, aside)
        shutil.rmtree(aside, ignore_errors=True)


def remove_file(path: Path) -> None:
    """Remove the file where it is there and can be."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def remove_empty_folder(path: Path) -> None:
    """Remove the folder where it is empty and can be removed."""
    with contextlib.suppress(OSError):
        os.rmdir(path)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed writer left under temporary names in the folder."""
    for leftover in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            remove_file(leftover)


def read_bytes(path: Path, maximum_bytes: int) -> bytes:
    """The file's content, of at most so many bytes. Raises FileError."""
    try:
        with path.open("rb") as file:
            content = file.read(maximum_bytes + 1)
    except OSError as error:
        raise file_error(path, error, "read") from error
    if len(content) > maximum_bytes:
        raise FileError(path, f"{path} is larger than {maximum_bytes:,} bytes.", "It was not written by VAE Explorer.")
    return content


def _write_synced(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, 0o644)
    try:
        _write_all(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, content: bytes) -> None:
    """`os.write` may take a part only; what it leaves is offered again until it takes all or says why not."""
    view = memoryview(content)
    while view:
        taken = os.write(handle, view)
        if taken == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        view = view[taken:]


def _end_of_whole_lines(handle: int) -> int:
    """Offset just after the last newline; cuts off what follows it."""
    size = os.lseek(handle, 0, os.SEEK_END)
    if size == 0:
        return 0
    start = max(0, size - _TAIL_BYTES)
    os.lseek(handle, start, os.SEEK_SET)
    tail = os.read(handle, _TAIL_BYTES)
    end = start + tail.rfind(b"\n") + 1
    if end < size:
        os.ftruncate(handle, end)
    return end


def _sync_folder(path: Path) -> None:
    """Make a rename last; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
