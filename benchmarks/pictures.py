"""One figure of several runs: codes of held-out rows on top of draws from the prior, or samples.

python -m benchmarks.pictures RUN RUN RUN --out docs/images/codes.png
python -m benchmarks.pictures RUN RUN RUN --samples --out docs/images/data-space.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pushforward as pf
from pushforward.report.axes import show_codes, show_images
from pushforward.runs.run import Run

ROWS = 3000
SAMPLES, COLUMNS = 40, 20


def named(run: Run) -> str:
    """A run's recipe and its arguments."""
    options = ", ".join(f"{name}={value}" for name, value in run.config["arguments"].items())
    return f"{run.config['recipe']} {options}"


def codes(runs: list[Run], out: Path) -> None:
    """One panel for each run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(runs), 5), layout="constrained")
    panels = figure.subplots(1, len(runs), squeeze=False)[0]
    for axes, run in zip(panels, runs, strict=True):
        x, y = run.held_out(slice(0, ROWS))
        show_codes(axes, run.view(run.encode(x)), y, run.view(run.sample_codes(ROWS)))
        axes.set_title(named(run), fontsize=9, loc="left")
    figure.savefig(out, dpi=80)


def samples(runs: list[Run], out: Path) -> None:
    """Two rows with the first samples of each run, and as many held-out images."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.25 * (len(runs) + 1)), layout="constrained")
    panels = figure.subplots(len(runs) + 1, 1)
    for axes, run in zip(panels, runs, strict=False):
        show_images(axes, named(run), run.sample(SAMPLES), COLUMNS)
    show_images(panels[-1], "held-out images", runs[0].data.test.batch(slice(0, SAMPLES)).x, COLUMNS)
    figure.savefig(out, dpi=80)


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--samples", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    runs = [pf.load(path) for path in arguments.runs]
    (samples if arguments.samples else codes)(runs, arguments.out)


if __name__ == "__main__":
    main()
