"""Where batches come from: the catalogue, folders of images, arrays."""

from pushforward.data.catalogue import CATALOGUE, open_dataset
from pushforward.data.dataset import Batch, Dataset, Split, hold_out

__all__ = ["CATALOGUE", "Batch", "Dataset", "Split", "hold_out", "open_dataset"]
