"""The pool's files: whole or not written, for their owner's eyes, for one process at a time."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import IO

if sys.platform != "win32":  # pragma: no branch
    import fcntl


class DataError(Exception):
    """The data folder can't be used; the message says which file and what to do."""


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content: after a crash at any moment it holds the old text or the new.

    The file is readable and writable by its owner alone.
    """
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    if sys.platform != "win32":  # pragma: no branch
        # The new name is on the disk only once its folder is.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class DataFolder:
    """A folder that one process at a time may use, made if it does not exist.

    Args:
        path: The folder.
        patience: Seconds to wait for another process to let go of it (a server that reloads
            starts the new process while the old one ends).

    Raises:
        DataError: another process uses it, or it can't be written.
    """

    def __init__(self, path: Path, *, patience: float = 5.0) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
            self._lock = os.fdopen(os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")
        except OSError as error:
            raise DataError(f"{path}: can't be used as the user pool's folder: {error}") from None
        deadline = time.monotonic() + patience
        while not _locked(self._lock):
            if time.monotonic() >= deadline:
                self._lock.close()
                raise DataError(
                    f"{path}: another process runs the user pool in this folder; "
                    "end it, or choose another folder"
                )
            time.sleep(0.05)

    def close(self) -> None:
        """Let another process use the folder."""
        self._lock.close()


def _locked(file: IO[str]) -> bool:
    try:
        if sys.platform == "win32":  # pragma: no cover - tested on Linux
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
