"""One process trains in a folder, also where the file system has no locks."""

import errno
import json
import os
import socket
import subprocess
import sys
import textwrap

import pytest
from filelock import FileLock

import tiny
from seq2seq_lab.errors import UserError
from seq2seq_lab.runs import lock
from seq2seq_lab.runs.lock import locked


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP])
def without_locks(monkeypatch, request):
    """A file system that refuses locks."""

    def refuse(self, *_, **__):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(FileLock, "acquire", refuse)


@pytest.mark.usefixtures("without_locks")
class TestWithoutLocks:
    def test_a_run_can_be_trained(self, tmp_path):
        folder = tiny.train(tmp_path, "trainer.max_epochs=1")
        assert len(tiny.rows(folder)) == 1
        assert not list(folder.glob(".lock-file*"))

    def test_a_second_process_is_kept_out(self, tmp_path):
        with locked(tmp_path / "lock"), pytest.raises(UserError, match=f"process {os.getpid()} of .*remove"):  # noqa: SIM117
            with locked(tmp_path / "lock"):
                pass

    def test_the_lock_of_a_process_that_has_ended_is_taken_over(self, tmp_path):
        ended = os.fork()
        if not ended:
            os._exit(0)
        os.waitpid(ended, 0)
        self.leave(tmp_path, socket.gethostname(), ended)
        with locked(tmp_path / "lock"):
            pass

    def test_the_lock_of_another_machine_is_respected_as_long_as_it_gives_signs_of_life(self, tmp_path):
        path = self.leave(tmp_path, "elsewhere", 1)
        with pytest.raises(UserError, match="process 1 of elsewhere"), locked(tmp_path / "lock"):
            pass
        os.utime(path, (1, 1))
        with locked(tmp_path / "lock"):
            pass

    def test_a_process_of_another_name_space_is_not_looked_for_by_its_number(self, tmp_path):
        self.leave(tmp_path, socket.gethostname(), 2**22 + 1, namespace="pid:[1]")
        with pytest.raises(UserError, match="process"), locked(tmp_path / "lock"):
            pass

    @pytest.mark.parametrize("left", ["other", None])
    def test_a_process_that_slept_ends_without_a_write(self, tmp_path, left):
        """Another one has its lock, or had it and is finished."""
        script = textwrap.dedent(
            f"""
            import errno, os, sys, time
            from pathlib import Path
            from filelock import FileLock
            from seq2seq_lab.runs import lock

            def refuse(*_, **__):
                raise OSError(errno.ENOLCK, "no locks")

            FileLock.acquire = refuse
            lock._BEAT = 0.05
            folder = Path(sys.argv[1])
            with lock.locked(folder / "lock"):
                time.sleep(0.2)
                left = {left!r}
                (folder / "lock-file").write_text(left) if left else (folder / "lock-file").unlink()
                try:
                    time.sleep(20)
                finally:
                    (folder / "written").touch()
            """
        )
        done = subprocess.run(
            [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert f"{tmp_path}: this process gave no sign of life" in done.stderr
        found = {path.name: path.read_text() for path in tmp_path.iterdir()}
        assert found == ({"lock-file": left} if left else {})

    def test_of_two_that_find_a_dead_owner_one_gets_the_lock(self, tmp_path, monkeypatch):
        """The second one looked before the first one took it over."""
        path = self.leave(tmp_path, "elsewhere", 1)
        os.utime(path, (1, 1))
        owner, first = lock._owner, []

        def slow(path):
            found = owner(path)
            if not first:
                first.append(locked(tmp_path / "lock"))
                first[0].__enter__()
            return found

        monkeypatch.setattr(lock, "_owner", slow)
        with pytest.raises(UserError, match=f"process {os.getpid()} of"), locked(tmp_path / "lock"):
            pass
        assert json.loads(path.read_text())["process"] == os.getpid()
        first[0].__exit__(None, None, None)
        assert not list(tmp_path.iterdir())

    def test_who_only_looks_at_a_folder_of_somebody_else_does_not_fail(self, tmp_path):
        path = self.leave(tmp_path, "elsewhere", 1)
        tmp_path.chmod(0o555)
        assert lock.is_locked(tmp_path / "lock")
        os.utime(path, (1, 1))
        assert not lock.is_locked(tmp_path / "lock")
        assert [each.name for each in tmp_path.iterdir()] == ["lock-file"]

    @pytest.mark.parametrize("content", ['{"host": "h", "process": 1e999}', "[" * 100_000, "", "{}", "\x00"])
    def test_a_lock_file_that_says_nothing_is_that_of_a_process_that_is_not_known(self, tmp_path, content):
        path = tmp_path / "lock-file"
        path.write_text(content)
        assert lock.is_locked(tmp_path / "lock")
        here = {**lock.this_process(), "process": 2**70}
        path.write_text(json.dumps(here))
        assert lock.is_locked(tmp_path / "lock")
        os.utime(path, (1, 1))
        assert not lock.is_locked(tmp_path / "lock")

    @staticmethod
    def leave(folder, host, process, **more):
        path = folder / "lock-file"
        path.write_text(json.dumps({"host": host, "process": process, **more}))
        return path


def test_a_full_disk_is_a_clear_line_and_the_run_goes_on(tmp_path, monkeypatch):
    from seq2seq_lab.training.callbacks import checkpoint

    whole = tiny.train(tmp_path / "whole")
    replacing, count = checkpoint.replacing, iter(range(1))

    def full(path):
        if next(count, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replacing(path)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "replacing", full)
        with pytest.raises(UserError, match="No space left on device"):
            tiny.train(tmp_path / "full")
    (folder,) = tiny.folders(tmp_path / "full")
    found = json.loads((folder / "summary.json").read_text())
    assert found["status"] == "failed"
    assert "No space left" in found["stopped"]
    assert tiny.train(tmp_path / "full") == folder
    assert tiny.curves(folder) == tiny.curves(whole)
    assert tiny.same_weights(folder, whole)
