"""Pages open offline, in a real browser, on a desk and on a phone."""

import re
import shutil
from functools import partial
from html.parser import HTMLParser

import pytest
import torch
from speed import quick

import pushforward as pf

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


@pytest.fixture(scope="module")
def page(trained, rendering):
    with rendering():
        return trained.report()


@pytest.fixture(scope="module")
def table_page(tmp_path_factory, rendering):
    """A run on rows that are no images and have no labels, whose name wants to be markup."""
    folder = tmp_path_factory.mktemp("table")
    noise = torch.randn(60, 5, generator=torch.Generator().manual_seed(0)).numpy()
    run = pf.train("vae", {"x": noise}, out=folder / "<b>run", latent_dim=1, steps=5, progress=False)
    with rendering():
        return run.report()


@pytest.fixture(scope="module")
def comparison_page(tmp_path_factory, rendering):
    """The page of runs that were trained before it is made, so that only its own figures are rendered."""
    folder = tmp_path_factory.mktemp("comparison")
    more = {"seeds": [0, 1], "steps": 5, "features": "pca", "progress": False}
    compare = partial(pf.compare, ["ae", "vae:latent_dim=2"], "digits", out=folder, **more)
    compare()
    with rendering():
        return compare().path / "report.html"


class Links(HTMLParser):
    """Everything that a page would fetch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href", "xlink:href", "action")]


PAGES = ["page", "table_page", "comparison_page"]


@pytest.mark.parametrize("name", quick(PAGES, "page"))
def test_nothing_is_fetched(name, request):
    text = request.getfixturevalue(name).read_text()
    links = Links()
    links.feed(text)
    assert links.found
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in links.found)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert "<script" not in text


def test_a_page_says_everything(page, trained):
    text = page.read_text()
    for words in (
        "wae-mmd on digits",
        trained.config["description"].replace("'", "&#39;"),
        "<strong>samples: fair.</strong> precision",
        "<strong>latent fit: good.</strong>",
        "<strong>too few steps.</strong> the run has had 300 of the 5842 steps",
        "features: classifier (64 numbers, sha256",
        "each beside its reconstruction",
        "traversals of one latent dimension each",
        "draws of the prior in grey",
        "coloured by label",
        "Configuration of the run",
    ):
        assert words in text, words


def test_the_same_run_gives_the_same_page(page, trained, rendering):
    before = page.read_text()
    with rendering():
        assert trained.report().read_text() == before


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("name", quick(PAGES, "page"))
@pytest.mark.parametrize("width", quick([1200, 360], 360))
def test_in_a_browser(name, width, request):
    """It asks for nothing, logs nothing, shows every picture, and nothing sticks out of the screen."""
    api = pytest.importorskip("playwright.sync_api")
    path = request.getfixturevalue(name)
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": width, "height": 740})
        asked, said = [], []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: said.append(message.text))
        tab.goto(path.as_uri())
        assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
        assert said == []
        broken = tab.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).length")
        assert broken == 0
        assert tab.evaluate("document.images.length + document.querySelectorAll('svg').length") >= 3
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert float(tab.evaluate("getComputedStyle(document.body).fontSize").removesuffix("px")) >= 15
        browser.close()
