"""Files of data: the user's own file, or a download that is made once and stored in the cache."""

import glob
import hashlib
import logging
import os
import sys
import time
import zlib
from pathlib import Path

from seq2seq_lab.data.cache import cache_dir
from seq2seq_lab.data.sources.tsv import digest
from seq2seq_lab.errors import UserError, expanded, of_files
from seq2seq_lab.files import remove_temporary, replacing

RETRIES = 2  # of a download, after the first attempt
_PAUSE = 1.0  # seconds between two attempts
_log = logging.getLogger(__name__)


def locate(
    archive: str | Path | None,
    *,
    url: str | None,
    sha256: str | None,
    environment: str | None = "ENG_FRA_ARCHIVE",
) -> Path:
    """The path of an archive: the user's own file, or else the download, which is made once and cached.

    Args:
        archive: the user's own file, as in the setting ``data.archive``.
        url: where the archive is downloaded from if the user names no file.
        sha256: expected SHA-256 of the download; a file that the user names is not checked.
        environment: variable that may name the user's own file, if ``archive`` does not.

    Raises:
        UserError: the named file does not exist, no file is named, or the download fails.
    """
    variable = os.environ.get(environment) if environment else None
    for name, value in (("data.archive", archive), (f"${environment}", variable)):
        if value:
            path = expanded(value, name)
            try:
                path.stat()
            except OSError as error:
                raise UserError(
                    f"{name}={value}: {error.strerror}; it must name a zip or text file"
                ) from None
            return path
    if not url:
        raise UserError("no archive to read; name a zip or text file with data.archive=PATH")
    path = download_path(url)
    if not _is_intact(path, sha256):
        _download(url, path, sha256)
    return path


def download_path(url: str) -> Path:
    """Where the download of ``url`` is stored. Two addresses never share a file."""
    name = url.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    return cache_dir() / "downloads" / f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{name}"


def _is_intact(path: Path, sha256: str | None) -> bool:
    try:
        return path.is_file() and (sha256 is None or digest(path) == sha256.lower())
    except OSError:  # of another user
        return False


def _download(url: str, path: Path, sha256: str | None) -> None:
    """Download ``url`` to ``path``. If several processes start at once, one downloads and the others wait."""
    # Imported here, as each import takes longer than loading a cached corpus.
    from filelock import FileLock

    from seq2seq_lab.data.sources.transfer import LimitError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not _is_intact(path, sha256):
                _log.info("downloading %s to %s", url, path)
                remove_temporary(path.with_name(glob.escape(path.name)))
                _fetch(url, path, sha256)
    except (OSError, ValueError, zlib.error, LimitError) as error:  # those of requests are OSErrors
        cause: BaseException = error
        while cause.__context__:  # the innermost one is the most precise, such as "connection refused"
            cause = cause.__context__
        raise UserError(
            f"{url}: download to {path.parent} failed: {' '.join(str(cause).split())}\n"
            "  download the file in another way and name it: data.archive=PATH"
        ) from None


def _fetch(url: str, path: Path, sha256: str | None) -> None:
    """Download a file whole, in several attempts.

    Raises:
        ValueError: it is another file than the one that is expected.
    """
    from seq2seq_lab.data.sources.transfer import transfer

    for attempt in range(RETRIES + 1):
        try:
            with replacing(path) as temporary:
                transfer(url, temporary, progress=sys.stderr.isatty())
                if sha256 is not None and (found := digest(temporary)) != sha256.lower():
                    raise ValueError(f"its SHA-256 is {found}, and not {sha256}, which is expected")
            return
        except (OSError, ValueError) as error:
            if attempt == RETRIES or (isinstance(error, OSError) and of_files(error)):
                raise
            _log.info("%s: %s; once more", url, error)
            time.sleep(_PAUSE)
