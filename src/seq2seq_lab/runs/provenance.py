"""Where a run's numbers come from: the machine, the commit of the code, the command."""

import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path


def machine() -> str:
    """The operating system, the number of processors and their model, in a line."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), flags=re.MULTILINE)
        processor = names[0] if names else processor
    return f"{platform.system()}, {os.cpu_count()} × {processor}"


def commit() -> str | None:
    """The commit of the checkout that the package runs from; None where it is installed from a wheel."""
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
    """The command line of this process, quoted for a shell; the program goes by its name, not its path."""
    program, *arguments = sys.argv
    return " ".join((Path(program).name, *map(shlex.quote, arguments)))
