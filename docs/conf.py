"""The configuration of the documentation site: `make docs` builds it, without a network."""

import re
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

from pushforward import __version__  # noqa: E402

addresses = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]

project = "Pushforward"
author = copyright = "The Pushforward developers"
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "names",
    "recipes",
]
exclude_patterns = ["_build", "**/*.py", "llms.txt"]
nitpicky = True

# Markdown. Notebooks are shown as they are stored; `make tutorials` runs them.
myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 4
nb_execution_mode = "off"
suppress_warnings = ["mystnb.unknown_mime_type"]

# The API, from docstrings.
autodoc_member_order = "groupwise"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_use_legacy_class_based = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Arguments", "params_style"), "References"]

# Pages.
html_theme = "furo"
html_title = "Pushforward"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["llms.txt"]
html_copy_source = False
html_theme_options = {
    "source_repository": addresses["Repository"],
    "source_branch": "main",
    "source_directory": "docs/",
}
mathjax_path = "mathjax/tex-svg.js"  # one file, with its fonts in it
copybutton_exclude = ".linenos, .gp, .go"


def copy_mathjax(app: object) -> None:
    """Puts MathJax, which a package brings, beside the pages."""
    source = files("mathjax") / "static" / "mathjax" / "es5" / "tex-svg.js"
    target = Path(app.outdir, "_static", "mathjax", "tex-svg.js")  # type: ignore[attr-defined]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def link_out(app: object, page: str, source: list[str]) -> None:
    """Links to files outside docs/, which work in the repository, lead there from the site, too."""

    def address(found: re.Match[str]) -> str:
        target = ((HERE / page).parent / found[1]).resolve()
        inside = target.is_relative_to(HERE)
        return (
            found[0] if inside else f"]({addresses['Repository']}/blob/main/{target.relative_to(HERE.parent)}"
        )

    source[0] = re.sub(r"\]\((\.\./[^)#]+)", address, source[0])


def setup(app: object) -> None:
    """Registers what happens before pages are written."""
    app.connect("builder-inited", copy_mathjax)  # type: ignore[attr-defined]
    app.connect("source-read", link_out)  # type: ignore[attr-defined]
