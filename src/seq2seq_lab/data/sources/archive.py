"""Archives of sentence pairs: found or fetched, and read.

An archive is a zip from the manythings.org family (or any other zip with a tab-separated text inside), or
such a text file itself. Every mistake in one is a `UserError` that names it.
"""

import hashlib
import io
import logging
import os
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from seq2seq_lab.errors import UserError

RETRIES = 2  # of a download, after the first attempt
_ZIP_SIGNATURE = b"PK\x03\x04"
_log = logging.getLogger(__name__)


def cache_dir() -> Path:
    """Where downloads and prepared corpora are kept: ``$SEQ2SEQ_LAB_CACHE``, else the user's cache folder."""
    if folder := os.environ.get("SEQ2SEQ_LAB_CACHE"):
        return Path(folder).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("seq2seq-lab"))


def locate(
    archive: str | Path | None,
    *,
    url: str | None,
    sha256: str | None,
    environment: str | None = "ENG_FRA_ARCHIVE",
) -> Path:
    """Find an archive, or fetch it once: the user's own file first, then the cache, then ``url``.

    Args:
        archive: the user's own file, as in the setting ``data.archive``.
        url: where to fetch the archive when the user names none.
        sha256: hash of what ``url`` serves; a file that the user names is not held to it.
        environment: variable that may name the user's own file too.

    Raises:
        UserError: the file named is not there, nothing is named, or the download fails.
    """
    variable = os.environ.get(environment) if environment else None
    for name, value in (("data.archive", archive), (f"${environment}", variable)):
        if value:
            path = Path(value).expanduser()
            try:
                path.stat()
            except OSError as error:
                raise UserError(
                    f"{name}={value}: {error.strerror}; it should name a zip or text file"
                ) from None
            return path
    if not url:
        raise UserError("no archive to read: name a zip or text file with data.archive=PATH")
    path = download_path(url)
    if not _is_intact(path, sha256):
        _download(url, path, sha256)
    return path


def download_path(url: str) -> Path:
    """Where the download of ``url`` is kept. Two addresses never share a file, even under one name."""
    name = url.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    return cache_dir() / "downloads" / f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{name}"


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        UserError: the file cannot be read.
    """
    return hashlib.sha256(_content(path)).hexdigest()


def check_digest(name: str | Path, actual: str, expected: str | None) -> None:
    """Compare a hash with the one given, if one is given.

    Raises:
        UserError: they differ.
    """
    if expected and actual != expected.lower():
        raise UserError(f"{name}: not the file expected: its sha256 is {actual},\n  not {expected}")


def read_text(path: Path, *, sha256: str | None = None, member_sha256: str | None = None) -> str:
    """Read the pairs of an archive as text.

    In a zip these are the largest ``.txt`` member whose first line holds a tab. Whether a file is a zip is
    told from its content, never from its name.

    Args:
        path: a zip or a UTF-8 text file, with or without a byte-order mark.
        sha256: expected hash of the file.
        member_sha256: expected hash of the text: the member of a zip, or the text file itself.

    Raises:
        UserError: the file is missing, damaged, empty, not the one expected, or not UTF-8 text.
    """
    content, name = _content(path), str(path)
    if sha256:
        check_digest(name, hashlib.sha256(content).hexdigest(), sha256)
    if zipfile.is_zipfile(io.BytesIO(content)):
        content, name = _pair_member(content, name)
    elif content.startswith(_ZIP_SIGNATURE):
        raise UserError(f"{name}: a truncated or damaged zip; fetch or copy it again")
    if member_sha256:
        check_digest(name, hashlib.sha256(content).hexdigest(), member_sha256)
    if not content.strip():
        raise UserError(f"{name}: empty; it should hold one pair a line, its columns separated by tabs")
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{name} line {line}: not UTF-8 text (byte 0x{content[error.start]:02x} at offset {error.start});"
            " it should be a zip or a UTF-8 text file of tab-separated pairs"
        ) from None


def read_columns(text: str, name: str | Path, columns: Sequence[int]) -> list[list[str]]:
    """Pick columns of a tab-separated text.

    Args:
        text: one pair a line; only line feeds, alone or after a carriage return, end a line, and empty
            lines at the end are ignored.
        name: what to call the text in a message.
        columns: which columns to take, counted from 1.

    Returns:
        For each of ``columns`` its fields, one per line.

    Raises:
        UserError: a line has too few columns.
    """
    text = text.replace("\r\n", "\n").rstrip("\r\n")
    lines = text.split("\n")
    widths = [line.count("\t") + 1 for line in lines]
    for number, width in enumerate(widths, 1) if min(widths) < max(columns) else ():
        if width == 1:
            raise UserError(f"{name} line {number}: no tab; a line should be columns separated by tabs")
        if width < max(columns):
            raise UserError(f"{name} line {number}: {width} columns, but column {max(columns)} is asked for")
    if min(widths) == max(widths):  # one split of the whole text is several times as fast as one a line
        fields = text.replace("\n", "\t").split("\t")
        return [fields[column - 1 :: widths[0]] for column in columns]
    return [[line.split("\t", column)[column - 1] for line in lines] for column in columns]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder, not a file; name the zip or text file in it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _pair_member(content: bytes, name: str) -> tuple[bytes, str]:
    """The content of the pair file in a zip, and what to call it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            texts = [info for info in archive.infolist() if info.filename.endswith(".txt")]
            for info in sorted(texts, key=lambda info: info.file_size, reverse=True):
                with archive.open(info) as member:
                    has_tab = b"\t" in member.readline(1 << 16)
                if has_tab:
                    name = f"{name}: {info.filename}"
                    return archive.read(info), name
    # Damage surfaces as nearly any exception of zipfile, zlib, struct and io; so does an unknown compression.
    except Exception as error:
        raise UserError(f"{name}: a damaged or unreadable zip ({error}); fetch or copy it again") from None
    raise UserError(f"{name}: a zip without a pair file: no .txt member has a tab in its first line")


def _is_intact(path: Path, sha256: str | None) -> bool:
    return path.is_file() and (sha256 is None or digest(path) == sha256.lower())


def _download(url: str, path: Path, sha256: str | None) -> None:
    """Fetch ``url`` to ``path``; of processes that start together one fetches and the others wait."""
    # Both take longer to import than a prepared corpus takes to load.
    import pooch
    from filelock import FileLock

    pooch.get_logger().setLevel(logging.WARNING)
    store = pooch.create(
        path.parent,
        base_url="",
        registry={path.name: sha256},
        urls={path.name: url},
        retry_if_failed=RETRIES,
    )
    fetch = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=30)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not _is_intact(path, sha256):
                _log.info("downloading %s to %s", url, path)
                store.fetch(path.name, downloader=fetch)
    # requests' exceptions are OSErrors; a wrong hash is pooch's ValueError.
    except (OSError, ValueError) as error:
        cause: BaseException = error
        while cause.__context__:  # the first says "connection refused", each one around it a little less
            cause = cause.__context__
        raise UserError(
            f"{url}: download to {path.parent} failed: {' '.join(str(cause).split())}\n"
            "  fetch the file some other way and name it: data.archive=PATH"
        ) from None
