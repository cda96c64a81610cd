"""Text files of sentences: columns separated by tabs, or one sentence per line; as a file or in a zip.

The zips of manythings.org and that of the PyTorch tutorial are such files. Every error in a file is a `UserError`
that names the file. Files come from anywhere, so what is read has a limit, and nothing of a zip is unpacked to disk.
"""

import hashlib
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path

from seq2seq_lab.errors import UserError

LARGEST = 256 << 20  # bytes of a file or of a zip's member
LONGEST = 100_000  # characters of a line
_ZIP_SIGNATURE = b"PK\x03\x04"
_TEXTS = (".txt", ".tsv")
_MARKS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8"))
_SUFFIXES_OF_NO_TEXT = (".md", ".html", ".xml", ".json", ".pdf", ".license")


def digest(path: Path, key: str = "") -> str:
    """The SHA-256 of a file, in hexadecimal.

    Args:
        key: the setting that names the file, for an error.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        return hashlib.sha256(_content(path)).hexdigest()
    except UserError as error:
        raise UserError(f"{key}={error}" if key else str(error)) from None


def check_digest(name: str | Path, actual: str, expected: str | None) -> None:
    """Compare the hash of a file with the expected one, if there is one.

    Raises:
        UserError: they differ.
    """
    if expected and actual != expected.lower():
        raise UserError(f"{name}: not the file expected: its sha256 is {actual},\n  not {expected}")


def read_text(path: Path, *, member_sha256: str | None = None) -> str:
    """Read a text file, or the text file in a zip.

    In a zip, it is the largest ``.txt`` or ``.tsv`` member whose first line contains a tab. Two members with one
    sentence per line are read as two columns, in the order of their names. The content decides whether a file is a
    zip, not its name.

    Args:
        path: a zip, or a text file in UTF-8 or UTF-16, with or without a byte-order mark.
        member_sha256: expected hash of the text: the member of a zip, or the text file itself.

    Raises:
        UserError: the file is missing, damaged, encrypted, empty or larger than `LARGEST`, has an unexpected hash, or
            is not text.
    """
    content, name = _content(path), str(path)
    if zipfile.is_zipfile(path):
        content, name = _pair_member(path)
    elif content.startswith(_ZIP_SIGNATURE):
        raise UserError(f"{name}: a truncated or damaged zip; fetch or copy it again")
    if member_sha256:
        check_digest(name, hashlib.sha256(content).hexdigest(), member_sha256)
    text = _decoded(content, name)
    if not text or text.isspace():
        raise UserError(f"{name}: empty; it must contain one pair per line, with columns separated by tabs")
    return text


def line_ends(text: str) -> str:
    """The text with a line feed at the end of each line. Without any line feed, a carriage return ends a line."""
    text = text.replace("\r\n", "\n")
    return text if "\n" in text.rstrip("\r\n") else text.replace("\r", "\n")


def read_lines(text: str, name: str | Path) -> list[str]:
    """The lines of a text. A line feed ends a line, alone or after a carriage return; without any, the latter does.

    Empty lines at the end are ignored.

    Raises:
        UserError: a line is longer than `LONGEST`.
    """
    lines = line_ends(text).rstrip("\r\n").split("\n")
    check_lengths(lines, name)
    return lines


def check_lengths(lines: Sequence[str], name: str | Path) -> None:
    """Refuse a line that is longer than `LONGEST`.

    Raises:
        UserError: there is one.
    """
    if len(max(lines, key=len)) > LONGEST:
        number = next(number for number, line in enumerate(lines, 1) if len(line) > LONGEST)
        raise UserError(
            f"{name} line {number}: {len(lines[number - 1]):,} characters; a line has at most {LONGEST:,}"
        )


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{path}: not a regular file; it must be a zip or a text file")
        if status.st_size > LARGEST:
            raise UserError(f"{path}: {status.st_size:,} bytes; a file has at most {LARGEST:,}")
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder, not a file; name the zip or text file in it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _decoded(content: bytes, name: str) -> str:
    """The text of a file."""
    mark, encoding = next(((mark, each) for mark, each in _MARKS if content.startswith(mark)), (b"", ""))
    if not encoding:
        encoding = _utf16_without_mark(content[:4096]) or "utf-8"
    content = content[len(mark) :]
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{name} line {line}: not {encoding.upper()} text (byte 0x{content[error.start]:02x} at offset "
            f"{error.start + len(mark)}); it must be a zip, or a text file of tab-separated pairs in UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(
            f"{name} line {line}: a NUL character, which text does not contain; save the file as UTF-8"
        )
    return text


def _utf16_without_mark(start: bytes) -> str | None:
    """The encoding, where every other byte of the beginning is mostly zero, as for Latin letters in UTF-16."""
    for encoding, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[0::2])):
        if len(zeros) > 1 and zeros.count(0) > 0.5 * len(zeros):
            return encoding
    return None


def _pair_member(path: Path) -> tuple[bytes, str]:
    """The content of the pair file in a zip, and its name for messages."""
    try:
        with zipfile.ZipFile(path) as archive:
            texts = [info for info in archive.infolist() if _may_be_text(info)]
            pairs = [info for info in texts if info.filename.lower().endswith(_TEXTS)]
            for info in sorted(pairs, key=lambda info: info.file_size, reverse=True):
                with _open(archive, info, path) as member:
                    first = member.readline(1 << 16)
                if b"\t" in first or b"\t\0" in first:
                    return _read(archive, info, path), f"{path}: {info.filename}"
            if len(texts) == 2:
                return _two_columns(archive, texts, path), f"{path}"
    except UserError:
        raise
    # A damaged file or an unknown compression can raise almost any exception of zipfile, zlib, struct and io.
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: a damaged or unreadable zip ({why}); fetch or copy it again") from None
    raise UserError(
        f"{path}: a zip without a pair file: no .txt or .tsv member has a tab in its first line, and there are not "
        "two members with one sentence per line; unpack it and use data=parallel"
    )


def _may_be_text(info: zipfile.ZipInfo) -> bool:
    """Whether a member can contain sentences: not a folder, a file of macOS, or a text about the others."""
    name = Path(info.filename)
    about = (
        name.stem.upper() in ("README", "LICENSE", "COPYING") or name.suffix.lower() in _SUFFIXES_OF_NO_TEXT
    )
    of_macos = "__MACOSX" in name.parts or name.name.startswith("._")
    return not (info.is_dir() or about or of_macos)


def _open(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> zipfile.ZipExtFile:
    if info.flag_bits & 1:
        raise UserError(
            f"{path}: {info.filename} is encrypted; unpack it with its password, and use that file"
        )
    return archive.open(info)  # type: ignore[return-value]


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> bytes:
    with _open(archive, info, path) as member:
        content = member.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise UserError(f"{path}: {info.filename} is of more than {LARGEST:,} bytes, which is the limit")
    return content


def _two_columns(archive: zipfile.ZipFile, texts: Sequence[zipfile.ZipInfo], path: Path) -> bytes:
    """Two members with one sentence per line, as a text of two columns."""
    names = sorted(texts, key=lambda info: info.filename)
    sides = [
        read_lines(_decoded(_read(archive, info, path), f"{path}: {info.filename}"), info.filename)
        for info in names
    ]
    if len(sides[0]) != len(sides[1]):
        counts = " and ".join(
            f"{info.filename} has {len(side):,} lines" for info, side in zip(names, sides, strict=True)
        )
        raise UserError(f"{path}: two files of sentences must have as many lines: {counts}")
    clean = ([line.replace("\t", " ") for line in side] for side in sides)
    return "\n".join(map("\t".join, zip(*clean, strict=True))).encode()
