"""Sphinx's settings: the pages of docs/, the API from docstrings, and executed notebooks.

sphinx-build -W --keep-going -n docs build/docs
"""

import os
import pathlib
import re
import sys
import typing
from typing import Any

ROOT = pathlib.Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
# The kernels of notebooks run in their own folder, and find the rooms by this.
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
# Most of a notebook's time goes into compiling what runs for milliseconds.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
)

# jaxtyping then writes `Float[Array, "batch height"]` as the source does, without its modules.
typing.GENERATING_DOCUMENTATION = "sphinx"  # pyright: ignore[reportAttributeAccessIssue]

import jax.typing  # noqa: E402


class ArrayLike:
    """Stands for JAX's union of many types, of which jaxtyping would spell out every member."""

    __module__ = "builtins"


jax.typing.ArrayLike = ArrayLike  # pyright: ignore

from docutils import nodes  # noqa: E402
from flax import nnx  # noqa: E402
from sphinx.addnodes import pending_xref  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402
from sphinx.environment import BuildEnvironment  # noqa: E402
from sphinx.util.inspect import signature, stringify_signature  # noqa: E402
from sphinx.util.nodes import make_refnode  # noqa: E402

project = "capsnet-stn"
author = "The capsnet-stn developers"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
exclude_patterns = ["README.md"]  # the list of pages for those who read the files themselves

html_theme = "sphinx_book_theme"
html_title = "Capsule networks and spatial transformers in JAX"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_copy_source = False
html_theme_options = {
    "home_page_in_toc": True,
    "navbar_persistent": [],  # the search is in the sidebar
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
}

myst_heading_anchors = 3
nitpick_ignore_regex = [
    # Nothing is read from other projects' sites, so that no network is needed.
    (r"py:.*", r"(jax|jaxlib|flax|nnx|numpy|np|optax|orbax|absl|matplotlib)\b.*"),
    (r"py:.*", r"(collections|contextlib|enum|pathlib|os|types|typing)\..*"),
    # Types of jaxtyping, their shapes, and what Sphinx makes of `tuple[int, ...]`.
    (r"py:class", r"(Array|ArrayLike|Bool|Float|Int|Key|Num|UInt8|ndarray)(\[.*)?|'.*'|tuple\[.*"),
    # Of modules that are no page's.
    (r"py:class", r"(capsnet|cnn|data|equivariant|evaluation|stn|training)\.[\w.]+"),
]
highlight_language = "bash"
default_role = "literal"  # as in Markdown

autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    "special-members": "__call__",
    "show-inheritance": True,
}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # shapes are no markup
napoleon_use_rtype = False

# Notebooks are run anew whenever their page is built, and nothing of them is kept.
nb_execution_mode = "auto"
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # seconds a cell, on machines with other work
nb_merge_streams = True


def setup(app: Sphinx) -> None:
    """Connects what autodoc leaves to its users."""
    app.connect("source-read", lead_to_studies)
    app.connect("autodoc-process-signature", sign_modules)
    app.connect("autodoc-process-docstring", escape_equations, priority=400)  # before napoleon
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("missing-reference", find_by_last_name)


def lead_to_studies(app: Sphinx, page: str, source: list[str]) -> None:
    """Makes links to the page of a study, outside of docs/, lead to the page that includes it."""
    source[0] = re.sub(r"\(\.\./\.\./results/(\w+)/README\.md\)", r"(\1.md)", source[0])


def sign_modules(
    app: Sphinx, kind: str, name: str, documented: Any, options: Any, shown: str, returns: str
) -> tuple[str, str] | None:
    """Takes the signature of an NNX module from its constructor, which a metaclass hides."""
    if not isinstance(documented, type) or not issubclass(documented, nnx.Module):
        return None
    arguments = signature(documented.__init__, bound_method=True)
    text = stringify_signature(arguments, show_return_annotation=False, unqualified_typehints=True)
    return text, ""


def escape_equations(
    app: Sphinx, kind: str, name: str, documented: Any, options: Any, lines: list[str]
) -> None:
    """Keeps products, norms and plurals of code from being read as markup."""
    parts = re.split(r"(`+[^`]+`+)", re.sub(r"(?<=\w`)(?=\w)", r"\\ ", "\n".join(lines)))
    parts[::2] = [re.sub(r"([*|])", r"\\\1", part) for part in parts[::2]]
    lines[:] = "".join(parts).split("\n")


def skip_fields(
    app: Sphinx, kind: str, name: str, documented: Any, skip: bool, options: Any
) -> bool | None:
    """Leaves fields of named tuples to the docstrings of their classes."""
    return True if type(documented).__name__ == "_tuplegetter" else None


def find_by_last_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.TextElement
) -> nodes.reference | None:
    """Links errors that docstrings name without their modules, where a page has one such."""
    if node.get("reftype") != "exc":
        return None
    domain = env.domains.python_domain
    found = [name for name in domain.objects if name.endswith(f".{node['reftarget']}")]
    if len(found) != 1:
        return None
    source, target = node["refdoc"], domain.objects[found[0]]
    return make_refnode(app.builder, source, target.docname, target.node_id, shown)
