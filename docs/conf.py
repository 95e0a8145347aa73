"""The site: `python3 launchers docs` builds it into `site/`, without the network."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from generate import write_pages

write_pages()

project = "megabar"
author = "the authors of megabar"
project_copyright = author
release = version = version_of("megabar")
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["validation"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True
html_theme = "furo"
html_title = "megabar"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]
pygments_style = "friendly"


def plain(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Have docstrings read as the plain sentences they are: bars are bars, a line that goes on is no quotation."""
    before = ""
    for place, line in enumerate(lines):
        if not before.startswith((">>>", "...")) and before.strip() and not line.startswith((">>>", "...")):
            lines[place] = line.lstrip().replace("|", r"\|")
        elif not line.startswith(">>>"):
            lines[place] = line.replace("|", r"\|")
        before = ">>>" if line.startswith(">>>") or (before == ">>>" and line.strip()) else line


def setup(app: object) -> None:
    """Have Sphinx read docstrings so."""
    app.connect("autodoc-process-docstring", plain)  # type: ignore[attr-defined]
