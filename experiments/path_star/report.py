"""Path-star graphs: `python -m experiments.path_star.report outputs/path_star`; after `make path-star`.

Writes results.csv and the table of README.md.
"""

from pathlib import Path

from experiments.tables import finished, run, shown, write

STUDY = Path(__file__).parent


def main(folders: list[str]) -> None:
    """Write the table."""
    rows = []
    for group in finished(folders, "path_star/", "make path-star"):
        data = group.runs[0].config()["data"]
        rows.append(
            {
                "preset": str(group.runs[0].config()["name"]),
                **{name: str(data[name]) for name in ("degree", "length", "nodes", "graphs")},
                "1 / degree": f"{1 / data['degree']:.3f}",
                "exact_match": shown(group.last("test/exact_match"), 3),
                "symbol_error_rate": shown(group.last("test/symbol_error_rate"), 3),
                "loss_forced": shown(group.last("test/loss_forced"), 3),
                "loss_free": shown(group.last("test/loss_free"), 3),
                "epochs": str(group.runs[0].epochs),
                "seeds": str(len(group.runs)),
            }
        )
    write(rows, "results", STUDY)


if __name__ == "__main__":
    run(main)
