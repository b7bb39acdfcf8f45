"""llms.txt has one line for each page of the site, and leads to pages that exist."""

import importlib.util
import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def generator():
    """The script that writes the file."""
    spec = importlib.util.spec_from_file_location("llms", DOCS / "_ext" / "llms.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_what_the_pages_say():
    assert (DOCS / "llms.txt").read_text() == generator().llms(), "run: python docs/_ext/llms.py"


def test_every_page_is_linked_once_and_every_link_leads_to_a_page():
    made = generator()
    lines = re.findall(
        r"^- \[(.+?)\]\((\S+?)\)(?:: (.+))?$", (DOCS / "llms.txt").read_text(), flags=re.MULTILINE
    )
    linked = [address.removeprefix(made.address()) for _, address, _ in lines]
    there = [path.relative_to(DOCS).with_suffix(".html").as_posix() for path in made.pages()]
    assert sorted(linked) == sorted(there)


def test_it_has_the_form_of_the_convention():
    text = (DOCS / "llms.txt").read_text()
    assert re.match(r"# \S.*\n\n> \S.*\n\n## ", text)
