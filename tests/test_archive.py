"""Files of pairs: local files and downloads, their text, their columns, and error messages."""

import contextlib
import gzip
import hashlib
import http.server
import io
import os
import re
import subprocess
import sys
import threading
import time
import zipfile

import pytest

from seq2seq_lab.commands import main as cli
from seq2seq_lab.data.sources import download, transfer
from seq2seq_lab.data.sources.archive import ArchiveCorpus
from seq2seq_lab.data.sources.columns import read_columns
from seq2seq_lab.data.sources.download import download_path, locate
from seq2seq_lab.data.sources.tsv import read_text
from seq2seq_lab.errors import UserError
from waiting import wait

PAIRS = "I'm here.\tJe suis là.\nHe's tall.\tIl est grand.\n"


def zipped(**members: str | bytes) -> bytes:
    """A zip with these members. In a name, ``__`` is replaced by a slash; ``.txt`` is added."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name.replace("__", "/") + ".txt", content)
    return stream.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQ2SEQ_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ENG_FRA_ARCHIVE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def server(monkeypatch):
    """Serves ``server.content`` after ``server.failures`` responses with status 503, and counts the requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            owner = self.server
            owner.requests += 1
            if owner.requests <= owner.failures:
                self.send_error(503)
                return
            if owner.behave is not None:
                with contextlib.suppress(OSError):  # the client has had enough
                    owner.behave(self)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(owner.content)))
            self.end_headers()
            self.wfile.write(owner.content[: owner.cut])

        def log_message(self, *_):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.content, running.requests, running.failures, running.cut = zipped(fra=PAIRS), 0, 0, None
        running.behave, running.daemon_threads = None, True
        running.url = f"http://127.0.0.1:{running.server_port}/data.zip"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


class TestLocate:
    def test_the_setting_has_priority_over_the_variable(self, tmp_path, monkeypatch):
        for name in ("setting", "variable"):
            (tmp_path / name).write_text(PAIRS)
        monkeypatch.setenv("ENG_FRA_ARCHIVE", str(tmp_path / "variable"))
        assert locate(tmp_path / "setting", url=None, sha256=None) == tmp_path / "setting"
        assert locate(None, url="http://unused", sha256="0") == tmp_path / "variable"

    def test_the_message_about_a_missing_file_says_where_it_was_named(self, tmp_path, monkeypatch):
        with pytest.raises(UserError, match=r"data\.archive=.*gone\.zip: No such file"):
            locate(str(tmp_path / "gone.zip"), url=None, sha256=None)
        monkeypatch.setenv("ELSEWHERE", str(tmp_path / "gone.zip"))
        with pytest.raises(UserError, match=r"\$ELSEWHERE=.*gone\.zip: No such file"):
            locate(None, url=None, sha256=None, environment="ELSEWHERE")

    def test_without_a_file_or_address_the_message_says_what_to_set(self):
        with pytest.raises(UserError, match=r"data\.archive=PATH"):
            locate(None, url=None, sha256=None)

    def test_an_empty_variable_is_ignored(self, server, monkeypatch):
        monkeypatch.setenv("ENG_FRA_ARCHIVE", "")
        assert locate(None, url=server.url, sha256=None).read_bytes() == server.content


class TestDownload:
    @pytest.fixture(autouse=True)
    def _no_waiting(self, monkeypatch):
        monkeypatch.setattr(download, "_PAUSE", 0)

    def test_a_file_is_downloaded_once(self, server):
        first = locate(None, url=server.url, sha256=sha256(server.content))
        assert first.read_bytes() == server.content
        assert locate(None, url=server.url, sha256=sha256(server.content)) == first
        assert server.requests == 1

    def test_a_damaged_download_is_downloaded_again(self, server):
        path = locate(None, url=server.url, sha256=sha256(server.content))
        path.write_bytes(b"damaged")
        locate(None, url=server.url, sha256=sha256(server.content))
        assert path.read_bytes() == server.content

    def test_a_failed_download_is_tried_again(self, server):
        server.failures = 2
        path = locate(None, url=server.url, sha256=sha256(server.content))
        assert path.read_bytes() == server.content
        assert server.requests == 3

    def test_the_message_about_a_server_that_does_not_respond_says_what_to_do(self, server, cache):
        server.failures = 99
        with pytest.raises(UserError) as error:
            locate(None, url=server.url, sha256=None)
        for part in (server.url, "503", "data.archive=PATH"):
            assert part in str(error.value)
        assert len(str(error.value).splitlines()) == 2
        assert server.requests == 3
        assert not list(cache.rglob("*data.zip"))

    @pytest.mark.parametrize("cut", [None, 20], ids=["wrong hash", "cut short"])
    def test_a_wrong_or_incomplete_download_is_removed(self, server, cache, cut):
        server.cut = cut
        with pytest.raises(UserError, match="failed"):
            locate(None, url=server.url, sha256="0" * 64 if cut is None else None)
        assert [path.suffix for path in cache.rglob("*") if path.is_file()] in ([], [".lock"])

    @pytest.mark.parametrize(
        "page", [b"<!doctype html><p>moved</p>", zipped(fra=PAIRS)[:-30]], ids=["page", "cut zip"]
    )
    def test_what_cannot_be_read_is_not_kept_if_no_hash_was_expected(self, server, page):
        content, server.content = server.content, page
        source = ArchiveCorpus(url=server.url, keep=None)
        with pytest.raises(UserError):
            source.load()
        server.content = content
        assert len(ArchiveCorpus(url=server.url, keep=None).load()) > 0

    def test_a_cache_of_another_user_is_as_if_nothing_was_there(self, server, monkeypatch):
        path = locate(None, url=server.url, sha256=sha256(server.content))

        def refused(_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("seq2seq_lab.data.sources.download.digest", refused)
        path.write_bytes(b"another")
        server.failures = 99
        with pytest.raises(UserError, match="failed"):
            locate(None, url=server.url, sha256=sha256(server.content))

    def test_the_message_about_a_refused_connection_says_what_to_do(self):
        with pytest.raises(UserError, match=r"failed: .*refused\n.*data\.archive=PATH"):
            locate(None, url="http://127.0.0.1:9/data.zip", sha256=None)

    def test_the_message_about_a_cache_that_cannot_be_created_names_its_path(self, server, cache):
        cache.write_text("a file where the folder should be")
        with pytest.raises(UserError, match=re.escape(str(cache))):
            locate(None, url=server.url, sha256=None)

    def test_two_addresses_with_the_same_file_name_have_different_paths(self):
        assert download_path("http://a/data.zip") != download_path("http://b/data.zip")

    def test_processes_that_start_together_download_once(self, server):
        script = (
            "import sys; from seq2seq_lab.data.sources.download import locate;"
            "print(locate(None, url=sys.argv[1], sha256=sys.argv[2]))"
        )
        command = [sys.executable, "-c", script, server.url, sha256(server.content)]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        assert wait(lambda: all(process.poll() is not None for process in processes))
        found = {process.communicate()[0].strip() for process in processes}
        assert [process.returncode for process in processes] == [0, 0]
        assert found == {str(download_path(server.url))}
        assert server.requests == 1


def head(handler, **headers):
    handler.send_response(200)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def drip(handler):
    """A byte now and then."""
    head(handler, Content_Length="1000000")
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.02)


def slow_headers(handler):
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
    drip_of = iter(lambda: b"y", None)
    for byte in drip_of:
        handler.wfile.write(byte)
        time.sleep(0.02)


def slow_chunk_size(handler):
    """The size of the first chunk never ends."""
    handler.protocol_version = "HTTP/1.1"
    head(handler, Transfer_Encoding="chunked")
    while True:
        handler.wfile.write(b"0")
        time.sleep(0.02)


def endless(handler):
    head(handler)
    while True:
        handler.wfile.write(bytes(2**16))


def bomb(handler):
    """Little that unpacks to much."""
    content = gzip.compress(bytes(2**24))
    head(handler, Content_Encoding="gzip", Content_Length=str(len(content)))
    handler.wfile.write(content)


class TestLimits:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch):
        monkeypatch.setattr(transfer, "MOST_BYTES", 2**20)
        monkeypatch.setattr(transfer, "WINDOW", 0.3)
        monkeypatch.setattr(transfer, "LEAST_BYTES", 1000)
        monkeypatch.setattr(transfer, "_POLL", 0.05)

    @pytest.mark.parametrize(
        ("behave", "message"),
        [
            (drip, r"only \d+ bytes came in 0\.3 seconds"),
            (slow_headers, "only 0 bytes came"),
            (slow_chunk_size, "only 0 bytes came"),
            (endless, "larger than 1 MiB"),
            (bomb, "larger than 1 MiB"),
        ],
    )
    def test_a_server_without_end_is_left_and_asked_once(self, server, cache, behave, message):
        server.behave = behave
        with pytest.raises(UserError, match=message) as error:
            locate(None, url=server.url, sha256=None)
        assert "data.archive=PATH" in str(error.value)
        assert server.requests == 1
        assert [path.suffix for path in cache.rglob("*") if path.is_file()] == [".lock"]

    def test_a_download_has_a_limit_of_time(self, server, monkeypatch):
        monkeypatch.setattr(transfer, "MOST_SECONDS", 0.1)
        monkeypatch.setattr(transfer, "WINDOW", 60)
        server.behave = drip
        with pytest.raises(UserError, match="more than"):
            locate(None, url=server.url, sha256=None)

    def test_what_is_compressed_on_its_way_is_unpacked(self, server):
        packed = gzip.compress(server.content)

        def behave(handler):
            head(handler, Content_Encoding="gzip", Content_Length=str(len(packed)))
            handler.wfile.write(packed)

        server.behave = behave
        found = locate(None, url=server.url, sha256=sha256(server.content))
        assert found.read_bytes() == server.content


@pytest.mark.skipif(os.name != "posix", reason="modes and signals of POSIX")
class TestSharedCache:
    def test_files_are_readable_as_the_umask_says(self, server, cache):
        before = os.umask(0o027)
        try:
            ArchiveCorpus(url=server.url, keep=None).load()
        finally:
            os.umask(before)
        files = [path for path in cache.rglob("*") if path.is_file()]
        assert {path.suffix for path in files} == {".zip", ".npz", ".lock"}
        modes = {path.suffix: path.stat().st_mode & 0o777 for path in files}
        assert modes[".zip"] == modes[".npz"] == 0o640

    def test_what_a_killed_download_left_is_removed_by_the_next(self, server, cache):
        server.behave = drip
        code = (
            "import sys; from seq2seq_lab.data.sources.download import locate;"
            "locate(None, url=sys.argv[1], sha256=None)"
        )
        process = subprocess.Popen([sys.executable, "-c", code, server.url])
        assert wait(lambda: list(cache.rglob(".*.tmp")))
        process.kill()
        process.wait()
        assert list(cache.rglob(".*.tmp"))
        server.behave = None
        locate(None, url=server.url, sha256=None)
        assert not list(cache.rglob(".*.tmp"))

    def test_what_was_left_of_prepared_corpora_is_removed_after_a_day(self, server, cache):
        folder = cache / "prepared"
        folder.mkdir(parents=True)
        for name, age in (("old", 100_000), ("new", 0)):
            (folder / f".{name}.npz.ab.tmp").touch()
            os.utime(folder / f".{name}.npz.ab.tmp", (time.time() - age,) * 2)
        ArchiveCorpus(url=server.url, keep=None).load()
        assert [path.name for path in folder.glob(".*")] == [".new.npz.ab.tmp"]


class TestReadText:
    @pytest.mark.parametrize(
        "content",
        [
            PAIRS.encode(),
            b"\xef\xbb\xbf" + PAIRS.encode(),
            zipped(fra=PAIRS, _about="This is about the file." * 99),
            zipped(data__names__Arabic="Khoury\n" * 99, **{"data__eng-fra": PAIRS}),
        ],
        ids=["text", "byte-order mark", "manythings", "tutorial"],
    )
    def test_the_text_is_found_in_every_kind_of_file(self, tmp_path, content):
        path = tmp_path / "any.name"
        path.write_bytes(content)
        assert read_text(path) == PAIRS

    def test_the_largest_of_several_pair_files_is_read(self, tmp_path):
        path = tmp_path / "data.zip"
        path.write_bytes(zipped(small="a\tb\n", large=PAIRS))
        assert read_text(path, member_sha256=sha256(PAIRS.encode())) == PAIRS

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "empty"),
            (b"\n \n", "empty"),
            (zipped(fra=PAIRS * 99)[:-30], "truncated or damaged zip"),
            (zipped(fra=PAIRS)[:10], "truncated or damaged zip"),
            (zipped(_about="no pairs"), "zip without a pair file"),
            (zipped(), "zip without a pair file"),
            (zipped(fra=b"a\tb\nc\t\xff\n"), r"fra\.txt line 2: not UTF-8 text \(byte 0xff at offset 6\)"),
            (bytes(range(256)), r"line 2: not UTF-8 text \(byte 0x80 at offset 128\)"),
        ],
    )
    def test_the_message_about_another_kind_of_file_names_it(self, tmp_path, content, message):
        path = tmp_path / "data.zip"
        path.write_bytes(content)
        with pytest.raises(UserError, match=message) as error:
            read_text(path)
        assert str(error.value).startswith(str(path))
        assert len(str(error.value).splitlines()) <= 2

    def test_a_damaged_zip_gives_a_user_error_and_no_traceback(self, tmp_path):
        path, whole = tmp_path / "data.zip", zipped(fra=PAIRS)
        refused = 0
        for position in range(len(whole)):
            content = bytearray(whole)
            content[position] ^= 0xFF
            path.write_bytes(content)
            try:
                assert read_columns(read_text(path), path, [1]).fields
            except UserError:
                refused += 1
        assert refused > len(whole) / 2

    def test_a_folder_or_a_missing_file_is_an_error(self, tmp_path):
        with pytest.raises(UserError, match="a folder, not a file"):
            read_text(tmp_path)
        with pytest.raises(UserError, match="no such file"):
            read_text(tmp_path / "gone")

    @pytest.mark.parametrize("part", ["train", "validation", "test"])
    @pytest.mark.parametrize("source", ["parallel", "g2p"])
    def test_the_error_of_a_file_names_its_key(self, tmp_path, capsys, part, source):
        (tmp_path / "pairs.tsv").write_text("a\tb\nc\td\n", encoding="utf-8")
        files = dict.fromkeys(("train", "validation", "test"), str(tmp_path / "pairs.tsv"))
        for wrong, what in ((tmp_path / "gone", "no such file"), (tmp_path, "a folder, not a file")):
            given = [f"data.{each}={path}" for each, path in {**files, part: wrong}.items()]
            assert cli.main(["data", f"data={source}", *given]) == 1
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith(f"data.{part}={wrong}: {what}")

    def test_an_archive_that_is_a_folder_names_its_key(self, tmp_path, capsys):
        assert cli.main(["data", f"data.archive={tmp_path}"]) == 1
        assert capsys.readouterr().err.startswith(f"data.archive={tmp_path}: a folder, not a file")

    def test_an_expected_hash_is_checked(self, tmp_path):
        path = tmp_path / "data.zip"
        path.write_bytes(zipped(fra=PAIRS))
        with pytest.raises(UserError, match=r"fra\.txt: not the file expected"):
            read_text(path, member_sha256="0" * 64)


class TestReadColumns:
    def test_columns_are_returned_in_the_order_of_their_numbers(self):
        assert read_columns("a\tb\tc\nd\te\tf\n", "pairs", [2, 1]).fields == [["b", "e"], ["a", "d"]]

    def test_lines_may_have_different_numbers_of_columns(self):
        assert read_columns("a\tb\tby someone\nc\td\n", "pairs", [1, 2]).fields == [["a", "c"], ["b", "d"]]

    def test_only_a_line_feed_ends_a_line(self):
        inside = "x\u2028y\x85z\x0bw\x0cv\x1cu"
        expected = [[inside, "b"], [inside, "d"]]
        assert read_columns(f"{inside}\t{inside}\r\nb\td\r\n\n\r\n", "pairs", [1, 2]).fields == expected

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a\tb\nno\n", "pairs line 2: no tab"),
            ("a\tb\tc\nd\te\n", "pairs line 2: 2 columns, but column 3 is needed"),
        ],
    )
    def test_the_message_about_missing_columns_names_the_line(self, text, message):
        with pytest.raises(UserError, match=message):
            read_columns(text, "pairs", [1, 3 if "c\n" in text else 2])


def test_sources_import_no_slow_library():
    modules = ("splits", "sources.archive", "sources.toy")
    script = f"import sys, {', '.join(f'seq2seq_lab.data.{name}' for name in modules)}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    slow = {"torch", "pytorch_lightning", "hydra", "omegaconf", "requests", "tqdm", "filelock"}
    assert slow.isdisjoint(loaded)
