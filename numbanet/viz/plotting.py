"""Pictures of models in files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from numbanet.errors import ArgumentError
from numbanet.viz.diagram import Diagram, Style, diagram
from numbanet.viz.dot import dot
from numbanet.viz.html import html
from numbanet.viz.outline import outline
from numbanet.viz.svg import svg

if TYPE_CHECKING:
    from numbanet.models.model import Model

_WRITERS: dict[str, Callable[[Diagram, str], str]] = {
    ".svg": lambda picture, _: svg(picture),
    ".html": lambda picture, _: html(picture),
    ".dot": dot,
}
_DIRECTIONS = ("TB", "BT", "LR", "RL")


class Picture:
    """A drawn model: notebooks show it, ``str`` is its text.

    Attributes
    ----------
    text : str
        What was written to the file.
    svg : str
    diagram : Diagram
    """

    def __init__(self, text: str, picture: Diagram) -> None:
        self.text = text
        self.diagram = picture
        self.svg = svg(picture)

    def __str__(self) -> str:
        return self.text

    def _repr_svg_(self) -> str:
        return self.svg


def plot_model(
    model: Model,
    to_file: str | os.PathLike[str] | None = "model.svg",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int | None = None,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Picture:
    """Draw a model.

    Parameters
    ----------
    model : Model
        Whose inputs are known.
    to_file : path, optional
        Its ending says what is written: ``.svg``, ``.html`` (a page that can be moved and
        enlarged, with details of what one points at) or ``.dot`` (for Graphviz). None writes
        nothing.
    show_shapes, show_dtype, show_layer_names : bool
        What stands in the boxes besides the classes of the layers.
    rankdir : {"TB", "BT", "LR", "RL"}
        Where the arrows lead: down, up, right or left.
    expand_nested : bool
        Whether models within the model are drawn as frames around their layers.
    show_layer_activations, show_trainable : bool

    Returns
    -------
    Picture
        Which a notebook shows.

    Raises
    ------
    ArgumentError
        On another ending or direction, or if the model does not know its inputs yet.
    NotImplementedError
        For ``dpi``: these pictures have no pixels.

    Examples
    --------
    >>> plot_model(model, "model.html", show_shapes=True, show_layer_names=True)
    """
    if dpi is not None:
        raise NotImplementedError("plot_model(): dpi is not supported: SVG has no pixels")
    if rankdir not in _DIRECTIONS:
        raise ArgumentError(
            "unknown rankdir", got=repr(rankdir), expected=", ".join(_DIRECTIONS)
        )
    ending = ".svg" if to_file is None else Path(to_file).suffix.lower()
    if ending not in _WRITERS:
        raise ArgumentError(
            "plot_model() writes SVG, HTML and dot",
            got=repr(str(to_file)),
            expected="a name that ends in " + ", ".join(_WRITERS),
        )
    style = Style(
        show_shapes=show_shapes,
        show_dtype=show_dtype,
        show_layer_names=show_layer_names,
        show_layer_activations=show_layer_activations,
        show_trainable=show_trainable,
        expand_nested=expand_nested,
        rankdir=rankdir,
    )
    picture = diagram(model.name, outline(model), style)
    text = _WRITERS[ending](picture, rankdir)
    if to_file is not None:
        Path(to_file).write_text(text, encoding="utf-8")
    return Picture(text, picture)
