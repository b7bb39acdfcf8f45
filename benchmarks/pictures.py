"""Codes of held-out rows on draws of the prior, of several runs side by side.

python -m benchmarks.pictures RUN RUN RUN --out docs/images/codes.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pushforward as pf
from pushforward.report.pictures import show_codes

ROWS = 3000


def main() -> None:
    """Draws one panel for each run."""
    from matplotlib.figure import Figure

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    figure = Figure(figsize=(5 * len(arguments.runs), 5), layout="constrained")
    panels = figure.subplots(1, len(arguments.runs), squeeze=False)[0]
    for axes, path in zip(panels, arguments.runs, strict=True):
        run = pf.load(path)
        x, y = run.data.test.batch(slice(0, ROWS))
        show_codes(axes, run.view(run.encode(x)), y, run.view(run.draw(ROWS)))
        told = ", ".join(f"{name}={value}" for name, value in run.config["arguments"].items())
        axes.set_title(f"{run.config['recipe']} {told}", fontsize=9, loc="left")
    figure.savefig(arguments.out, dpi=80)


if __name__ == "__main__":
    main()
