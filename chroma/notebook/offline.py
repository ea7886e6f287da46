"""Charts that notebooks show without the network: the output has the libraries of Vega, and an image beside.

Altair's own output loads these libraries from a public server. Without a network, it shows an error.
"""

from __future__ import annotations

import base64
import functools
import json
import uuid
from typing import Any

from ..internal.optional_dependencies import require

_SCALE = 1.5  # pixels of the image per pixel of the chart
# of the libraries that draw: the editor in their menu is a page elsewhere, and many dots need a canvas
OPTIONS: dict[str, Any] = {
    "mode": "vega-lite",
    "renderer": "canvas",
    "actions": {"export": True, "source": False, "compiled": False, "editor": False},
}

# The image is shown until the script has run, and where none may run. The libraries define global names, so a
# function hides them; what the page itself has under these names stays.
_HTML = """<div id="{id}"><img alt="{alt}" width="{width}" src="data:image/png;base64,{png}"></div>
<script>
(function () {{
  const names = ["vega", "vegaLite", "vegaEmbed"], before = names.map(name => window[name]);
  let embed = window.__chromaVegaEmbed;
  if (!embed) {{
    (function () {{
{bundle}
    }})();
    embed = window.__chromaVegaEmbed = window.vegaEmbed;
    names.forEach((name, number) => {{
      if (before[number] === undefined) delete window[name]; else window[name] = before[number];
    }});
  }}
  const target = document.getElementById("{id}"), chart = document.createElement("div");
  embed(chart, {spec}, {options})
    .then(() => target.replaceChildren(chart))
    .catch(error => console.error(error));
}})();
</script>"""


def offline(made: Any) -> Any:
    """Return the chart as one whose output needs no network. It stays an Altair chart of the same kind."""
    require("vl_convert", "plot", "plot()", "vl-convert-python")
    object.__setattr__(made, "__class__", _class_of(type(made)))  # a chart takes attributes for its settings
    return made


_classes: dict[Any, Any] = {}


def _class_of(kind: Any) -> Any:
    if kind in _classes:
        return _classes[kind]

    def bundle(self: Any, *arguments: Any, **options: Any) -> Any:
        alt = require("altair", "plot", "plot()")
        if alt.renderers.active != "default":  # the user has chosen another way
            return kind._repr_mimebundle_(self, *arguments, **options)
        return mimebundle(self)

    names = {"_repr_mimebundle_": bundle, "__module__": kind.__module__}
    _classes[kind] = type(kind.__name__, (kind,), names)
    return _classes[kind]


def mimebundle(chart: Any) -> dict[str, str]:
    """Return the output of a chart for notebooks: HTML, an image, and a text."""
    converter = require("vl_convert", "plot", "plot()", "vl-convert-python")
    spec = chart.to_dict()
    png = base64.b64encode(converter.vegalite_to_png(json.dumps(spec), scale=_SCALE)).decode()
    html = _HTML.format(
        id=f"chroma-plot-{uuid.uuid4().hex}",
        alt="A plot of embeddings",
        width=int(_width(base64.b64decode(png)) / _SCALE),
        png=png,
        bundle=_libraries(),
        spec=_inside_script(spec),
        options=json.dumps(OPTIONS),
    )
    return {"text/html": html, "image/png": png, "text/plain": f"<{type(chart).__name__} of embeddings>"}


def _width(png: bytes) -> int:
    return int.from_bytes(png[16:20], "big")


def _inside_script(spec: dict[str, Any]) -> str:
    """Return JSON that cannot end the script element that it is in."""
    return json.dumps(spec).replace("<", "\\u003c")


@functools.cache
def _libraries() -> str:
    bundle: str = require("vl_convert", "plot", "plot()", "vl-convert-python").javascript_bundle()
    return bundle
