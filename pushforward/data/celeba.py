"""CelebA, from files that are downloaded by hand, with the faces cropped as by the authors of the WAE.

References:
    | Deep Learning Face Attributes in the Wild (Liu et al., 2015)
    | https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html
    | Wasserstein Auto-Encoders (Tolstikhin et al., 2018): a crop of 140x140, resized to 64x64
    | https://github.com/tolstikhin/wae (datahandler.py, "closecrop")
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from pushforward.data.dataset import Dataset, Split
from pushforward.data.formats import OpenOptions, named_dataset
from pushforward.data.images import decode_all
from pushforward.data.sizes import Size
from pushforward.errors import DataError
from pushforward.reading import MOST_TEXT, read_file

if TYPE_CHECKING:
    from PIL.Image import Image

PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
IMAGES = "img_align_celeba"
PARTITION = "list_eval_partition.txt"
WHOLE = (178, 218)  # width, height of every image
CROP = 140
TRAIN, VALID, TEST = "0", "1", "2"


@named_dataset("celeba", "182732 photographs of faces, 3x64x64; download by hand", modality="image")
def open_celeba(options: OpenOptions) -> Dataset:
    """CelebA's official partition: 0 to train on, 2 held out, 1 (for validation) not used.

    The files are in the sub-folder ``celeba`` of the folder of data sets. Images are 64 x 64 by default.

    Raises:
        DataError: If the files are absent, or one is damaged or no image of CelebA.
    """
    wanted = options.image_size or (64, 64)
    place = options.folder / "celeba"
    images = place / IMAGES
    partition = next(
        (path for path in (place / PARTITION, place / "Eval" / PARTITION) if path.is_file()), None
    )
    if partition is None or not images.is_dir():
        missing = f"{IMAGES}/*.jpg" if partition else PARTITION
        packed = f"; {IMAGES}.zip is there: unzip it" if (place / f"{IMAGES}.zip").is_file() else ""
        raise DataError(
            f"celeba: expected {missing} in {place}, found none; its licence lets no program download it: "
            f"get {IMAGES}.zip (unzipped) and {PARTITION} from {PAGE}{packed}"
        )
    part = _partition(partition)
    absent = [name for name in part if not (images / name).is_file()]
    if absent:
        raise DataError(
            f"{images}: expected {absent[0]}, found none ({len(absent)} of {len(part)} are absent)"
        )
    # Both splits are decoded as one, so that they agree in their channels.
    names = [[name for name, number in part.items() if number == split] for split in (TRAIN, TEST)]
    faces, notes = decode_all(
        [images / name for name in chain(*names)], wanted, _Face(wanted), options.progress
    )
    counts = Counter(part.values())
    notes.append(
        f"faces: the inner {CROP}x{CROP} pixels, resized; {counts[VALID]} of partition 1 are not used"
    )
    x = torch.from_numpy(faces)
    train, test = x[: len(names[0])], x[len(names[0]) :]
    return Dataset(
        "celeba", Split(train), Split(test), in_unit_interval=True, notes=tuple(notes), source="celeba"
    )


def _partition(path: Path) -> dict[str, str]:
    part: dict[str, str] = {}
    for number, line in enumerate(
        read_file(path, MOST_TEXT).decode("utf-8", errors="replace").splitlines(), start=1
    ):
        name, _, split = line.strip().partition(" ")
        if line.strip() and (split.strip() not in (TRAIN, VALID, TEST) or Path(name).name != name):
            raise DataError(f"{path}: line {number}: expected a file name and 0, 1 or 2, found {line[:80]!r}")
        if line.strip():
            part[name] = split.strip()
    return part


class _Face:
    """Crops the centre of an image of CelebA and resizes it."""

    def __init__(self, size: Size) -> None:
        self.height, self.width = size

    def __call__(self, image: Image) -> Image:
        from PIL import Image as Pillow
        from PIL import ImageOps

        if image.size != WHOLE:
            raise ValueError(
                f"expected {WHOLE[0]}x{WHOLE[1]} pixels (width x height), found {image.width}x{image.height}"
            )
        left, top = (WHOLE[0] - CROP) // 2, (WHOLE[1] - CROP) // 2
        face = image.crop((left, top, left + CROP, top + CROP))
        return ImageOps.fit(face, (self.width, self.height), Pillow.Resampling.LANCZOS)
