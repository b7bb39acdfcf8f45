"""``pushforward classifier``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pushforward.cli.application import app
from pushforward.cli.options import JsonFlag
from pushforward.cli.output import print_json
from pushforward.console import echo


@app.command
def classifier(
    data: Annotated[str, Parameter(help="Labelled data: a catalogue name, a folder or an array file.")],
    *,
    data_dir: Path | None = None,
    image_size: int | None = None,
    json: JsonFlag = False,
) -> None:
    """Train and keep the small classifier whose features are used to compare samples with data.

    Commands that need it do this by themselves; a classifier that is kept already is not trained again.

    Arguments:
        data_dir: Folder that catalogue data are read from or downloaded to.
        image_size: Height and width that images are resized to.
    """
    from dataclasses import asdict

    from pushforward.data import open_dataset
    from pushforward.features.classifier import classifier_folder, classifier_of
    from pushforward.report.progress import bar

    with bar("reading", True) as show:
        dataset = open_dataset(data, data_dir=data_dir, image_size=image_size, progress=show)
    with bar(f"classifier of {dataset.name}", True) as show:
        found = classifier_of(dataset, show)
    folder, about = classifier_folder(dataset), found.about
    assert about is not None
    if json:
        print_json(asdict(about) | {"folder": str(folder)})
        return
    echo(f"classifier of {about.data}: accuracy {about.accuracy:.4f} on held-out rows, sha256 {about.sha256}")
    echo(f"it is in {folder}")
