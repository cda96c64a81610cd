"""Provenance of a run: the machine, the commit of the code, and the command."""

import os
import platform
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path


def machine() -> str:
    """The operating system, the number of processors and their model, in one line."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), flags=re.MULTILINE)
        processor = names[0] if names else processor
    return f"{platform.system()}, {os.cpu_count()} × {processor}"


@cache  # this process has imported the code of that moment
def commit() -> str | None:
    """The commit of the checkout that contains the package; None if it was installed from a wheel."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # git is not installed
        return None
    return answer.stdout.strip() or None


def command() -> str:
    """The command line of this process, quoted for a shell, with the name of the program instead of its path."""
    program, *arguments = sys.argv
    return " ".join((Path(program).name, *map(shlex.quote, arguments)))
