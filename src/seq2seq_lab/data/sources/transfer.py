"""One attempt of a download, with limits: a server may be slow for ever, or have no end."""

import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MOST_BYTES = 2**30  # of a download, also where it comes compressed
MOST_SECONDS = 3600.0
WINDOW = 30.0  # seconds in which at least so much has to come:
LEAST_BYTES = 30_000
_SILENCE = 6  # seconds without any byte, after which an attempt has failed
_CHUNK = 2**13
_POLL = 0.2


class LimitError(Exception):
    """The download is larger or slower than what is taken; another attempt would be so, too."""


def transfer(url: str, path: Path, *, progress: bool = False) -> None:
    """Download an address to a file.

    Args:
        progress: whether to show a bar.

    Raises:
        LimitError: it is too large or too slow.
        OSError: the server cannot be reached or refuses, the connection breaks, or the file cannot be written.
    """
    from tqdm import tqdm

    worker = _Worker(url, path)
    begun = window = time.monotonic()
    before = 0
    worker.start()
    try:
        with tqdm(unit="B", unit_scale=True, desc=path.name, disable=not progress, leave=False) as bar:
            while worker.is_alive():
                worker.join(_POLL)
                now, come = time.monotonic(), worker.received
                bar.update(come - bar.n)
                if now - begun > MOST_SECONDS:
                    raise LimitError(f"it takes more than {MOST_SECONDS / 60:g} minutes")
                if now - window > WINDOW:
                    if come - before < LEAST_BYTES:
                        raise LimitError(f"only {come - before} bytes came in {WINDOW:g} seconds")
                    window, before = now, come
    finally:
        worker.abandoned = True
    if worker.error is not None:
        raise worker.error


class _Worker(threading.Thread):
    """Receives in a thread of its own, which is left alone where the server is slower than any limit of a socket."""

    def __init__(self, url: str, path: Path) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.path = path
        self.received = 0  # bytes over the network
        self.abandoned = False
        self.error: Exception | None = None

    def run(self) -> None:
        """Receive."""
        try:
            self._receive()
        except Exception as error:  # raised in the other thread
            self.error = error

    def _receive(self) -> None:
        import requests
        import urllib3

        # What is compressed on its way would have to be unpacked here.
        headers = {"Accept-Encoding": "identity"}
        with requests.get(self.url, stream=True, timeout=_SILENCE, headers=headers) as response:
            response.raise_for_status()
            try:
                self._write(response)
            except urllib3.exceptions.HTTPError as error:  # such as one of a connection that breaks
                raise OSError(str(error)) from error

    def _write(self, response: Any) -> None:
        written = 0
        with self.path.open("wb") as file:
            for part in self._parts(response):
                written += len(part)
                if written > MOST_BYTES:
                    raise LimitError(f"it is larger than {MOST_BYTES / 2**20:g} MiB")
                file.write(part)

    def _parts(self, response: Any) -> Iterator[bytes]:
        """The contents in parts, unpacked: each at most of the size of a chunk."""
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
            raise LimitError(f"it comes with the encoding {encoding}, which is not asked for")
        inflate = None if encoding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
        for part in response.raw.stream(_CHUNK, decode_content=False):
            if self.abandoned:
                return
            self.received += len(part)
            if inflate is None:
                yield part
                continue
            while part:
                yield inflate.decompress(part, _CHUNK)
                part = inflate.unconsumed_tail
        if inflate is not None and not inflate.eof:
            raise OSError("it is incomplete")
