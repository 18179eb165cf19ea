"""Sphinx: these pages, and the examples as a gallery."""

from pathlib import Path

import numbanet

project = "numbanet"
author = "The numbanet authors"
release = numbanet.__version__

extensions = ["myst_parser", "sphinx_gallery.gen_gallery"]
html_theme = "alabaster"

sphinx_gallery_conf = {
    "examples_dirs": str(Path(__file__).parent.parent / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
}
