"""Take the pictures of the README and of docs/tensorboard.md: `make pictures`, with Chromium on the PATH.

Three ratios of mixed forcing with three seeds are trained on the embedded corpus, in about a minute; what a user then
sees is opened in a browser without a window.
"""

import html
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

from PIL import Image

FOLDER = Path(__file__).parent / "pictures"
SIZES = ("data.pairs=1000", "model.hidden_size=64", "model.embedding_size=64", "trainer.max_epochs=12")
SWEEP = ("data=toy", "model=attention", *SIZES, "forcing=mixed", "forcing.ratio=0,0.5,1", "seed=0,1,2")
LAB = (sys.executable, "-m", "seq2seq_lab")
STYLE = "pre {margin: 16px; font: 13px/1.35 monospace}"


def main() -> None:
    """Train, and write the pictures."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("there is no Chromium on the PATH")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        outputs = work / "outputs"
        given = (f"output_dir={outputs}", "compare=false")
        subprocess.run([*LAB, "train", "-m", *SWEEP, *given], check=True)
        said = subprocess.run(
            [*LAB, "compare", "outputs"], cwd=work, check=True, capture_output=True, text=True
        )
        run = next(outputs.glob("*0.5*/seed-0"))
        short = work / "attention" / "mixed-0.5"  # the name on the page
        short.parent.mkdir()
        run.rename(short)
        page = work / "page.html"
        subprocess.run([*LAB, "page", "attention/mixed-0.5", "--output", page.name], cwd=work, check=True)
        short.rename(run)
        click = "<script>document.querySelector('button').click()</script>"
        page.write_text(page.read_text(encoding="utf-8") + click, encoding="utf-8")
        (work / "terminal.html").write_text(f"<style>{STYLE}</style><pre>{html.escape(said.stdout)}</pre>")
        take(browser, (work / "terminal.html").as_uri(), FOLDER / "terminal.png", (1000, 720))
        take(browser, page.as_uri(), work / "page.png", (780, 900))
        beside(outputs / "comparison" / "curves.png", work / "page.png", FOLDER / "first.png")
        take(browser, (outputs / "comparison" / "report.html").as_uri(), FOLDER / "report.png", (1100, 1400))
        take_tensorboard(browser, outputs)


def beside(left: Path, right: Path, picture: Path) -> None:
    """Write two pictures as one, of one height."""
    images = [Image.open(path).convert("RGB") for path in (left, right)]
    height = 700
    images = [
        each.resize((each.width * height // each.height, height), Image.Resampling.LANCZOS) for each in images
    ]
    both = Image.new("RGB", (sum(each.width for each in images), height), "white")
    both.paste(images[0], (0, 0))
    both.paste(images[1], (images[0].width, 0))
    both.quantize(128).save(picture, optimize=True)


def take_tensorboard(browser: str, outputs: Path) -> None:
    """Serve the runs, and take a picture of the page with their curves."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", "--logdir", str(outputs), "--port", str(port)]
    )
    try:
        address = f"http://127.0.0.1:{port}/"
        for _ in range(60):
            try:
                urlopen(f"{address}data/runs").close()
                break
            except OSError:
                time.sleep(1)
        time.sleep(10)  # it reads the files
        take(browser, f"{address}?darkMode=false#timeseries", FOLDER / "tensorboard.png", (1400, 900), 20)
    finally:
        served.terminate()


def take(browser: str, address: str, picture: Path, size: tuple[int, int], seconds: int = 5) -> None:
    """Write what a browser shows after some seconds of its own clock."""
    width, height = size
    flags = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--allow-file-access-from-files",
    )
    subprocess.run(
        [
            browser,
            *flags,
            f"--window-size={width},{height}",
            f"--virtual-time-budget={1000 * seconds}",
            f"--screenshot={picture}",
            address,
        ],
        check=True,
        capture_output=True,
    )
    Image.open(picture).convert("RGB").quantize(128).save(picture, optimize=True)


if __name__ == "__main__":
    main()
