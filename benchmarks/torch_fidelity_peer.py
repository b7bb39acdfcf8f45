"""The numbers of ``pf.score`` of two folders of images next to those of torch-fidelity, on the same features.

    python -m benchmarks.torch_fidelity_peer --rows 64

Needs torch-fidelity and safetensors. Images are generated, 32x32 in colour. Inception gets random weights,
the same in both, since the numbers are to be equal whatever the weights are; they are initialised so that
features keep their size.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from unittest.mock import patch

import torch

import pushforward as pf
from benchmarks.score import write_images


def random_inception(place: Path) -> tuple[Path, Path]:
    """Inception with random weights, as files that torch-fidelity and the library read."""
    from safetensors.torch import save_file
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    torch.manual_seed(0)
    theirs = "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url"
    with patch(theirs, lambda *_, **__: {}), patch.object(FeatureExtractorInceptionV3, "load_state_dict"):
        state = FeatureExtractorInceptionV3("inception", ["2048"]).state_dict()
    for value in state.values():
        if value.ndim == 4:
            torch.nn.init.kaiming_normal_(value, nonlinearity="relu")
    files = place / "weights.pth", place / "weights.safetensors"
    torch.save(state, files[0])
    save_file({name: value.contiguous() for name, value in state.items()}, files[1])
    return files


def main() -> None:
    """Scores the same two folders with both, and prints a line for each metric."""
    import torch_fidelity

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=64)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = random_inception(Path(place))
        real, made = (write_images(Path(place) / str(seed), rows, seed) for seed in (0, 1))
        known = torch_fidelity.calculate_metrics(
            input1=str(made), input2=str(real), feature_extractor_weights_path=str(theirs), cuda=False,
            fid=True, kid=True, prc=True, feature_extractor="inception-v3-compat", feature_layer_fid="2048",
            feature_layer_kid="2048", feature_layer_prc="2048", kid_subsets=1, kid_subset_size=rows,
            prc_neighborhood=5, verbose=False, cache=False,
        )  # fmt: skip
        found = pf.score(real, made, features=str(ours))["samples"]
    pairs = {
        "FD": (found["fd"]["value"], known["frechet_inception_distance"]),
        "KID": (found["kid"]["value"], known["kernel_inception_distance_mean"]),
        "precision": (found["precision"], known["precision"]),
        "recall": (found["recall"], known["recall"]),
    }
    for name, (own, other) in pairs.items():
        print(f"{name:<10} {own:.9g}  torch-fidelity {other:.9g}  difference {own - other:+.2g}")


if __name__ == "__main__":
    main()
