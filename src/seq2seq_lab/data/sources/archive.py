"""Pairs from a file: a zip or a text with one pair a line, its columns separated by tabs."""

from dataclasses import dataclass
from pathlib import Path

from seq2seq_lab.data.sources import tsv
from seq2seq_lab.data.sources.base import PairSource, Provenance, RawPairs, require_positive
from seq2seq_lab.data.sources.columns import read_columns
from seq2seq_lab.data.sources.download import download_path, locate
from seq2seq_lab.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ArchiveCorpus(PairSource):
    """The pairs of an archive: the user's own file, or a download.

    Args:
        archive: the user's own zip or text file. ``None`` = the file that the variable ``environment`` names, or
            else the download from ``url``.
        archive_sha256: expected SHA-256 of the user's own file; ``None`` = any.
        url: where the archive is downloaded from.
        sha256: expected SHA-256 of the download.
        member_sha256: expected SHA-256 of the pair file inside the download.
        environment: variable that may name the user's own file.
        credit: the authors of the download's sentences. It is shown for the download, and for a file of the user
            with the hash ``sha256`` or ``member_sha256``, but not for other files.
        source_column: column of the source sentences, counted from 1.
        target_column: column of the target sentences. Exchange the two to translate in the other direction.
        prefix_column: column that ``prefixes`` applies to.

    Raises:
        UserError: a setting is out of its range.
    """

    archive: str | None = None
    archive_sha256: str | None = None
    url: str | None = None
    sha256: str | None = None
    member_sha256: str | None = None
    environment: str | None = "ENG_FRA_ARCHIVE"
    credit: str | None = None
    source_column: int = 2
    target_column: int = 1
    prefix_column: int = 1

    def __post_init__(self) -> None:
        for name in ("source_column", "target_column", "prefix_column"):
            require_positive(name, getattr(self, name))
        if self.source_column == self.target_column:
            raise UserError(f"data.source_column={self.source_column}: data.target_column is the same column")
        super().__post_init__()

    def provenance(self) -> Provenance:
        """The path or address, and the hash of the file.

        Raises:
            UserError: the file cannot be found, downloaded or read, or its hash is not the expected one.
        """
        path = self._path()
        digest = tsv.digest(path, "data.archive" if self.archive else "")
        downloaded = self._is_download(path)
        if not downloaded:
            tsv.check_digest(path, digest, self.archive_sha256)
        columns = (self.source_column, self.target_column, self.prefix_column)
        known = [expected.lower() for expected in (self.sha256, self.member_sha256) if expected]
        return Provenance(
            origin=str(self.url if downloaded else path),
            credit=self.credit if digest in known else None,
            fingerprint=f"{digest} {self.member_sha256 if downloaded else None} {columns}",
        )

    def read(self) -> RawPairs:
        """The columns of the file."""
        path = self._path()
        try:
            return self._columns(path)
        except UserError:
            # Such as the page of an error: the next command downloads it again.
            if self._is_download(path) and self.sha256 is None:
                path.unlink(missing_ok=True)
            raise

    def _columns(self, path: Path) -> RawPairs:
        text = tsv.read_text(path, member_sha256=self.member_sha256 if self._is_download(path) else None)
        wanted = [self.source_column, self.target_column]
        if self.prefixes and self.prefix_column != self.target_column:
            wanted.append(self.prefix_column)
        columns = read_columns(text, path, wanted)
        sources, targets, *prefixed = columns.fields
        return RawPairs(
            sources=sources,
            targets=targets,
            prefixed=prefixed[0] if prefixed else None,
            origins=[(str(path), 0)],
            lines=columns.lines,
            cautions=columns.cautions,
        )

    def _path(self) -> Path:
        return locate(self.archive, url=self.url, sha256=self.sha256, environment=self.environment)

    def _is_download(self, path: Path) -> bool:
        return self.url is not None and path == download_path(self.url)
