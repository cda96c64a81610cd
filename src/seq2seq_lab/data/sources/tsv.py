"""Files of tab-separated columns: a text file, or a zip that contains one.

The zips of manythings.org and that of the PyTorch tutorial are such files. Every error in a file is a `UserError`
that names the file.
"""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

from seq2seq_lab.errors import UserError

_ZIP_SIGNATURE = b"PK\x03\x04"


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        UserError: the file cannot be read.
    """
    return hashlib.sha256(_content(path)).hexdigest()


def check_digest(name: str | Path, actual: str, expected: str | None) -> None:
    """Compare the hash of a file with the expected one, if there is one.

    Raises:
        UserError: they differ.
    """
    if expected and actual != expected.lower():
        raise UserError(f"{name}: not the file expected: its sha256 is {actual},\n  not {expected}")


def read_text(path: Path, *, sha256: str | None = None, member_sha256: str | None = None) -> str:
    """Read a text file, or the text file in a zip.

    In a zip, it is the largest ``.txt`` member whose first line contains a tab. The content decides whether a file
    is a zip, not its name.

    Args:
        path: a zip or a UTF-8 text file, with or without a byte-order mark.
        sha256: expected hash of the file.
        member_sha256: expected hash of the text: the member of a zip, or the text file itself.

    Raises:
        UserError: the file is missing, damaged or empty, has an unexpected hash, or is not UTF-8 text.
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
        raise UserError(f"{name}: empty; it must contain one pair per line, with columns separated by tabs")
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{name} line {line}: not UTF-8 text (byte 0x{content[error.start]:02x} at offset {error.start});"
            " it must be a zip or a UTF-8 text file of tab-separated pairs"
        ) from None


def read_columns(text: str, name: str | Path, columns: Sequence[int]) -> list[list[str]]:
    """Take columns of a tab-separated text.

    Args:
        text: one pair per line. Only a line feed, alone or after a carriage return, ends a line. Empty lines at the
            end are ignored.
        name: the name of the text, for messages.
        columns: numbers of the columns, counted from 1.

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
            raise UserError(f"{name} line {number}: no tab; the columns of a line must be separated by tabs")
        if width < max(columns):
            raise UserError(f"{name} line {number}: {width} columns, but column {max(columns)} is needed")
    if min(widths) == max(
        widths
    ):  # one split of the whole text is several times as fast as a split of each line
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
    """The content of the pair file in a zip, and its name for messages."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            texts = [info for info in archive.infolist() if info.filename.endswith(".txt")]
            for info in sorted(texts, key=lambda info: info.file_size, reverse=True):
                with archive.open(info) as member:
                    has_tab = b"\t" in member.readline(1 << 16)
                if has_tab:
                    name = f"{name}: {info.filename}"
                    return archive.read(info), name
    # A damaged file or an unknown compression can raise almost any exception of zipfile, zlib, struct and io.
    except Exception as error:
        raise UserError(f"{name}: a damaged or unreadable zip ({error}); fetch or copy it again") from None
    raise UserError(f"{name}: a zip without a pair file: no .txt member has a tab in its first line")
