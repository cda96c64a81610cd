"""Somebody else's run: changes of its files, at random and on purpose, and what a command must not do with them."""

import copy
import hashlib
import io
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml

from seq2seq_lab.runs import layout

_CALLS = {
    *("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen"),
    *("socket.connect", "socket.bind", "urllib.Request", "pickle.find_class"),
}
_CHANGES = {
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod"),
    "shutil.rmtree",
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_watched: tuple[Path, list[str]] | None = None  # where may be written, and what was seen


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is None:
        return
    folder, seen = _watched
    if event in _CALLS and arguments[:1] not in (("git",), ("uname",)):  # what a summary says of the machine
        seen.append(f"{event}{arguments!r}")
    if event in _CHANGES or (event == "open" and (arguments[2] or 0) & _WRITES):
        for path in arguments[: 2 if event == "os.rename" else 1]:
            if isinstance(path, str | bytes | os.PathLike):
                name = Path(os.fsdecode(path))
                follows = event in ("open", "os.truncate", "os.chmod")  # a link
                real = os.path.realpath(name if follows else name.parent) + (
                    "" if follows else f"/{name.name}"
                )
                if not f"{real}{os.sep}".startswith(f"{folder}{os.sep}") and real != os.devnull:
                    seen.append(f"{event} {real}")


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """What is called, or written outside of a folder, by this process within the block."""
    global _watched
    if not getattr(sys, "_seq2seq_lab_watches", False):  # a hook cannot be removed
        sys.addaudithook(_hook)
        sys._seq2seq_lab_watches = True  # type: ignore[attr-defined]
    _watched = folder.resolve(), []
    try:
        yield _watched[1]
    finally:
        _watched = None


def forge(
    folder: Path, change: Callable[[dict[str, Any]], object] | None = None, text: str | None = None
) -> None:
    """Change the configuration as an attacker would, with a matching checksum."""
    if text is None:
        config = yaml.safe_load((folder / layout.CONFIG).read_text())
        assert change is not None
        change(config)
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (folder / layout.CONFIG).write_text(text, encoding="utf-8")
    path = folder / layout.SUMMARY
    if path.is_file():
        try:
            summary = json.loads(path.read_text())
            summary["config_sha256"] = hashlib.sha256(text.encode()).hexdigest()
            path.write_text(json.dumps(summary))
        except (ValueError, TypeError):
            return


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each value in nested containers."""
    if path:
        yield path
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in below:
        yield from places(each, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> None:
    """Replace one value in nested containers."""
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


def nasty(draw: random.Random, canary: Path) -> Any:
    """A value that nobody expects."""
    call = f"${{oc.create:{{_target_: builtins.open, file: {canary}, mode: w}}}}"
    if draw.random() < 0.3:
        return draw.choice(
            [call, {"x": call}, [call], {"_target_": "builtins.open", "_args_": [str(canary), "w"]}]
        )
    deep: list[Any] = []
    for _ in range(50):
        deep = [deep]
    return draw.choice(
        [
            *(None, True, False, 0, -1, 1, 2**70, -(2**40), 0.5, 1e308, float("nan"), float("inf"), 10**7),
            *(
                "",
                " ",
                "x",
                "x" * 3000,
                "\x1b]0;title\x07",
                "a\nb",
                "\u202eabc",
                "$x^$",
                "<script>",
                "=1+1",
                "{0.x}",
            ),
            *(
                "${oc.env:HOME}",
                f"\\{call}",
                "${seed}",
                "???",
                "\\${x}",
                "../../up",
                "/etc/passwd",
            ),
            *(
                [],
                {},
                [None],
                {"": None},
                {"_target_": None},
                {"_target_": ["builtins.open"]},
                [[[]]],
                deep,
                {1: 2},
            ),
            {"_target_": "builtins.open", "_args_": [str(canary), "w"]},
            {"_target_": "builtins.open", "file": str(canary), "mode": "w", "_recursive_": False},
            {"_target_": "seq2seq_lab.files.write_text", "path": str(canary), "text": "", "_partial_": True},
            {"_args_": [1]},
            {"_partial_": "x", "_convert_": 3},
        ]
    )


def nasty_yaml(draw: random.Random) -> str:
    """A text of YAML for a value that JSON cannot have."""
    texts = [
        "2001-01-01",
        '"\\0"',
        "!!binary aGk=",
        "!!set {a, b}",
        "&a [*a]",
        "*none",
        "!!omap [a: 1]",
        "~",
        "'",
    ]
    texts += [
        "!!python/name:os.system ''",
        "0x1F",
        "1:30:00",
        "{<<: {a: 1}}",
        "!!float nan",
        "? [a]\n: b",
        "\t",
    ]
    return draw.choice([*texts, '"\\ud800"', "- -"])


def _bytes(draw: random.Random, whole: bytes) -> bytes:
    start, end = sorted(draw.randrange(len(whole) + 1) for _ in range(2))
    junk = draw.randbytes(draw.choice([1, 4, 100]))
    return draw.choice(
        [
            whole[:start],
            whole[:start] + junk + whole[start:],
            whole[:start] + whole[end:],
            whole[:end] + whole[start:],
            whole[:start] + junk + whole[start + len(junk) :],
            b"",
            b"[" * 100_000,
            whole.replace(b'"', b'"\\ud800', 1),
            whole.replace(b"0", b"-", draw.randrange(1, 4)),
        ]
    )


def _special(draw: random.Random, path: Path, outside: Path) -> None:
    path.unlink()
    match draw.randrange(5):
        case 0:
            os.mkfifo(path)
        case 1:
            path.mkdir()
        case 2:
            path.symlink_to(outside)
        case 3:
            path.symlink_to("/dev/zero")
        case 4:
            path.symlink_to(path.name)


def _weights(draw: random.Random, whole: bytes) -> bytes:
    state = torch.load(io.BytesIO(whole), weights_only=True)
    weights = state["state_dict"]
    name = draw.choice(list(weights))
    value = weights[name]
    new: Any = draw.choice(
        [
            *(
                value * float("nan"),
                value.int(),
                value.double(),
                value.half(),
                value[:1],
                value[:0],
                value.cfloat(),
            ),
            *(
                value.bool(),
                torch.zeros(1).expand(10**5, 10**5),
                torch.tensor(1.0),
                value.to_sparse(),
                [1, 2],
                "x",
                None,
            ),
        ]
    )
    match draw.randrange(5):
        case 0:
            del weights[name]
        case 1:
            weights[draw.choice(["", "model.x", 3])] = value
        case 2:
            state["state_dict"] = draw.choice([[], {}, None, [value], {"a": {"b": value}}])
        case _:
            weights[name] = new
    out = io.BytesIO()
    torch.save(state, out)
    return out.getvalue()


def mutate(folder: Path, draw: random.Random, canary: Path) -> str:
    """Change one file of a run; returns what was changed."""
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    path = draw.choice([*files, *[folder / layout.CONFIG] * (len(files) // 2)])
    name = path.relative_to(folder).as_posix()
    whole = path.read_bytes()
    kind = draw.choice(["bytes", "values", "values", "values", "special"])
    if kind == "special":
        _special(draw, path, canary)
    elif kind == "values" and path.suffix == ".json":
        value = json.loads(whole)
        for _ in range(draw.choice([1, 1, 3])):
            put(value, draw.choice(list(places(value))), copy.deepcopy(nasty(draw, canary)))
        path.write_text(json.dumps(value))
    elif kind == "values" and path.name == layout.CONFIG:
        if draw.random() < 0.3:
            lines = whole.decode().splitlines()
            line = draw.randrange(len(lines))
            lines[line] = f"{lines[line].partition(':')[0]}: {nasty_yaml(draw)}"
            forge(folder, text="\n".join(lines) + "\n")
        else:
            where = draw.choice(list(places(yaml.safe_load(whole))))
            forge(folder, lambda config: put(config, where, copy.deepcopy(nasty(draw, canary))))
        kind = f"values {path.read_text()[:0]}"
    elif kind == "values" and path.suffix == ".ckpt":
        path.write_bytes(_weights(draw, whole))
    else:
        path.write_bytes(_bytes(draw, whole))
    return f"{kind} of {name}"
