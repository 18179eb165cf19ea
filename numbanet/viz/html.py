"""Diagrams as a page of their own: to move, to enlarge, and to point at."""

from __future__ import annotations

from html import escape

from numbanet.viz.diagram import Diagram
from numbanet.viz.svg import svg

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
html, body {{ margin: 0; height: 100%; overflow: hidden; background: Canvas; }}
body > svg {{ position: absolute; transform-origin: 0 0; cursor: grab; }}
#details {{ position: fixed; display: none; padding: 8px 12px; border-radius: 6px;
  font: 12px/1.5 Helvetica, Arial, sans-serif; white-space: pre; pointer-events: none;
  color: CanvasText; background: Canvas; border: 1px solid GrayText; }}
g[data-key]:hover > rect {{ stroke-width: 2.4; }}
</style>
</head>
<body>
{svg}
<div id="details"></div>
<script>
const picture = document.querySelector("svg"), details = document.getElementById("details");
const width = picture.width.baseVal.value, height = picture.height.baseVal.value;
let scale = Math.min(1, innerWidth / width, Math.max(innerHeight / height, 0.5));
let x = (innerWidth - width * scale) / 2, y = 0, held = null;
const show = () => {{
  picture.style.transform = `translate(${{x}}px, ${{y}}px) scale(${{scale}})`;
}};
addEventListener("wheel", event => {{
  event.preventDefault();
  const next = Math.min(8, Math.max(0.05, scale * Math.exp(-event.deltaY / 500)));
  x = event.clientX - (event.clientX - x) * next / scale;
  y = event.clientY - (event.clientY - y) * next / scale;
  scale = next;
  show();
}}, {{ passive: false }});
addEventListener("pointerdown", event => {{ held = [event.clientX - x, event.clientY - y]; }});
addEventListener("pointerup", () => {{ held = null; }});
addEventListener("pointermove", event => {{
  if (held) {{
    [x, y] = [event.clientX - held[0], event.clientY - held[1]];
    show();
  }}
  const shape = event.target.closest?.("g[data-details]");
  details.style.display = shape && !held ? "block" : "none";
  if (shape) {{
    details.textContent = shape.dataset.details;
    const [right, low] = [innerWidth - details.offsetWidth, innerHeight - details.offsetHeight];
    details.style.left = Math.min(event.clientX + 14, right - 8) + "px";
    details.style.top = Math.min(event.clientY + 14, low - 8) + "px";
  }}
}});
show();
</script>
</body>
</html>
"""


def html(diagram: Diagram) -> str:
    """The whole page; it loads nothing from anywhere."""
    return _PAGE.format(title=escape(diagram.name), svg=svg(diagram))
