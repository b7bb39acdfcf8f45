"""Each thing that there is to see of a run is a figure, or an error that says why there is none."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import pushforward as pf
from pushforward.errors import ConfigError

EVERY = ("samples", "reconstructions", "interpolations", "codes", "history")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Runs of two steps: images with classes, points of a GAN, lines of text, rows of a table."""
    folder = tmp_path_factory.mktemp("plots")
    x = np.random.default_rng(0).integers(0, 256, (180, 4, 4)).astype(np.uint8)
    options = {"steps": 2, "progress": False, "pictures": False}
    table = pd.DataFrame({"age": np.arange(60.0) % 7, "town": ["Rome", "Oslo"] * 30})
    return {
        "image": pf.train("wae-mmd", (x, ["cat", "dog", "$x$"] * 60), out=folder / "image", conditional=True,
                          latent_dim=3, **options),
        "vector": pf.train("gan", "ring", out=folder / "vector", **options),
        "text": pf.train("ae", "phrases", out=folder / "text", **options),
        "table": pf.train("vae", table, out=folder / "table", **options),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["image", "text", "table"])
@pytest.mark.parametrize("name", EVERY)
def test_an_auto_encoder_is_shown_in_figures(small, kind, name):
    figure = getattr(small[kind].plots, name)()
    assert isinstance(figure, Figure)
    assert figure.findobj(lambda one: one.__class__.__name__ == "Axes")


def test_images_are_also_shown_by_class_and_in_traversals(small):
    plots = small["image"].plots
    captions = [figure.findobj(lambda one: hasattr(one, "get_title"))[0].get_title(loc="left")
                for figure in (plots.by_class(), plots.traversals())]  # fmt: skip
    assert captions[0].startswith("samples: one class in each row")
    assert captions[1].startswith("traversals")


def test_the_number_of_samples_is_that_asked_for(small):
    (points,) = small["vector"].plots.samples(30).axes[0].collections[1:]
    assert len(points.get_offsets()) == 30
    lines = [text.get_text() for text in small["text"].plots.samples(5).axes[0].texts]
    assert len(lines) == 5


def test_figures_are_not_those_of_pyplot(small, rendering):
    from matplotlib import pyplot

    with rendering():
        assert small["image"].plots.samples(4)._repr_png_().startswith(b"\x89PNG")
    assert pyplot.get_fignums() == []


def test_what_there_is_not_is_an_error(small):
    gan, image = small["vector"].plots, small["image"].plots
    for name in ("reconstructions", "codes"):
        with pytest.raises(ConfigError, match="gan has no encoder: its data have no codes"):
            getattr(gan, name)()
    with pytest.raises(ConfigError, match="gan has no classes to sample from"):
        gan.by_class()
    with pytest.raises(ConfigError, match="traversals are drawn of images; the rows are vectors"):
        gan.traversals()
    with pytest.raises(ConfigError, match="n must be at most 18, the number of held-out rows shown, got 50"):
        image.reconstructions(50)
