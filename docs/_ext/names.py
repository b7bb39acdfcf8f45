"""Finds what a name in a docstring or on a page refers to, under whatever name it was imported.

`pushforward.MMD`, `pushforward.discrepancies.MMD` and `pushforward.discrepancies.kernel.MMD` are one class,
which is documented once.
"""

from __future__ import annotations

import builtins
import importlib
import re
import sys
from typing import Any

from docutils import nodes

# What other packages and Python itself document: a name of theirs is written, not linked.
OTHERS = re.compile(
    r"(torch|numpy|np|nn|F|pathlib|collections|typing|matplotlib|PIL|pandas|sklearn|scipy|abc|dataclasses|os|functools)\b"
)


def resolve(app: Any, env: Any, node: Any, text: Any) -> Any:
    """A link to the object that a name means, or the name by itself where another package documents it."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].lstrip("~.")
    module = node.get("py:module") or "pushforward"
    found = find(target, module)
    domain = env.domains["py"]
    if found is not None:
        for name in names_of(found):
            if name in domain.objects:
                entry = domain.objects[name]
                link = app.builder.get_relative_uri(node["refdoc"], entry.docname) + "#" + entry.node_id
                made = nodes.reference("", "", internal=True, refuri=link, reftitle=name)
                made += text.deepcopy()
                return made
    if found is None and not OTHERS.match(target):
        return None
    return text  # private, a type variable, or another package's


def find(target: str, module: str) -> Any:
    """The object that a dotted name means in a module, or None."""
    if hasattr(builtins, target):
        return getattr(builtins, target)
    scopes = [module, "pushforward", "torch", "typing", "collections.abc", "pathlib", "numpy", "torch.nn"]
    for scope in scopes:
        value = descend(importlib.import_module(scope), target.split("."))
        if value is not None:
            return value
    for name, one in sorted(sys.modules.items()):  # what a package exports may be written for its own module
        if name.startswith(module + "."):
            value = descend(one, target.split("."))
            if value is not None:
                return value
    parts = target.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            start = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        return descend(start, parts[cut:])
    return None


def descend(value: Any, parts: list[str]) -> Any:
    """An attribute of an attribute, or None."""
    for part in parts:
        value = getattr(value, part, None)
    return value


def names_of(value: Any) -> list[str]:
    """The names under which an object may be documented."""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "")
    module = getattr(value, "__module__", None)
    full = f"{module}.{name}" if module else name
    parts = (module or "").split(".")
    return [full, *(".".join([*parts[:cut], name]) for cut in range(len(parts), 0, -1))]


def setup(app: Any) -> dict[str, bool]:
    """Registers the search for names."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True}
