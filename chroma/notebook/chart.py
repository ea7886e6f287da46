"""Draws points as an Altair chart.

Chart columns have fixed names, because Altair could read a metadata key as an expression. Texts are made
inert: notebooks and HTML files store them in a script element, which a text could otherwise close.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..internal.optional_dependencies import require
from ..rendering import text
from .offline import OPTIONS, offline
from .projection import Projection

if TYPE_CHECKING:
    import altair as alt

CATEGORIES = 20
LABELLED = 60  # maximum number of dots with labels beside them
MISSING = "(none)"

_GREY, _PALE = "#9a9a9a", "#d4d4d4"
_TEXT, _LINE = "#808080", "#b0b0b0"  # can be read on white and on black: notebooks are light or dark
# for the most frequent values first; the first ten colours are easy to distinguish, the others harder
_PALETTE = (
    "#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2",
    "#b279a2", "#ff9da6", "#9d755d", "#eeca3b", "#2f4b7c",
    "#9ecae9", "#ffbf79", "#88d27a", "#7b4fb5", "#8c6d31",
    "#e7298a", "#17becf", "#d8b5a5", "#637939", "#b5cf6b",
)  # fmt: skip

Rows = list[dict[str, Any]]


def make(
    laid: Projection,
    *,
    title: str,
    ids: Sequence[str],
    documents: Sequence[str],
    label: tuple[str, Sequence[str]] | None,
    color: tuple[str, Sequence[Any]] | None,
    color_type: str | None = None,
    size: tuple[int, int],
) -> alt.Chart | alt.LayerChart:
    """Draw one dot per point. `label` and `color` are each a title and one value per point.

    color_type  "category" or "number"; None: by the values
    """
    alt = require("altair", "plot", "plot()")
    rows: Rows = [
        {"x": x, "y": y, "id": inert(text.short(id, 60)), "document": inert(document)}
        for (x, y), id, document in zip(laid.points.tolist(), ids, documents, strict=True)
    ]
    tooltip = [alt.Tooltip("id:N", title="id")]
    if label is not None:
        for row, entry in zip(rows, label[1], strict=True):
            row["label"] = inert(entry)
        tooltip.append(alt.Tooltip("label:N", title=inert(text.short(label[0], 60))))
    if any(documents):
        tooltip.append(alt.Tooltip("document:N", title="document"))
    encoding: dict[str, Any] = {}
    if color is not None:
        name = inert(text.short(color[0], 60))
        scaled = on_a_scale(color[1], color_type)
        rows, encoding["color"] = (_scaled if scaled else _categorised)(alt, rows, name, color[1])
        tooltip.append(alt.Tooltip("value:Q" if scaled else "value:N", title=name))
    named = label is not None and len(rows) <= LABELLED
    points = (
        # InlineData avoids Altair's limit of 5,000 rows for lists
        alt.Chart(alt.InlineData(values=rows))
        .mark_circle(opacity=0.75, size=_dot(len(rows)), clip=True)
        .encode(
            x=_axis(alt.X("x:Q"), laid.axes[0], 60 if named else 12),
            y=_axis(alt.Y("y:Q"), laid.axes[1], 24 if named else 12),
            tooltip=tooltip,
            **encoding,
        )
    )
    whole = points
    if named:
        texts = points.mark_text(dy=-9, fontSize=10, clip=True).encode(text="label:N", color=alt.value(_TEXT))
        whole = points + texts
    whole = whole.properties(title=inert(title), width=size[0], height=size[1], background="transparent")
    whole = (
        whole.configure_view(stroke=None)
        .configure_title(color=_TEXT)
        .configure_legend(titleColor=_TEXT, labelColor=_TEXT, gradientStrokeColor="transparent")
    )
    return offline(whole.interactive())


def write(made: Any, file: Path) -> None:
    """Write the chart as an image, PNG at twice the size in pixels, or as a self-contained HTML page."""
    made = made.properties(background="white")
    kind = file.suffix.lower()[1:]
    if kind == "html":
        made.save(str(file), format="html", inline=True, embed_options=OPTIONS)
    else:
        made.save(str(file), format=kind, scale_factor=2 if kind == "png" else 1)


def inert(entry: str) -> str:
    """Insert an invisible character after each `<` in a text, so that it cannot begin a tag."""
    return entry.replace("<", "<\u2060")


def _axis(channel: Any, name: str, padding: int) -> Any:
    """Build an axis without numbers, because only the distances between points are meaningful."""
    axis = {"labels": False, "ticks": False, "grid": False, "domainColor": _LINE, "titleColor": _TEXT}
    return channel.title(name).axis(**axis).scale(zero=False, nice=False, padding=padding)


def _dot(rows: int) -> int:
    if rows <= 200:
        return 70
    return 30 if rows <= 2000 else 14


def is_number(value: Any) -> bool:
    """Whether a value is a number or missing."""
    return value is None or type(value) in (int, float)


def _numeric(values: Sequence[Any]) -> bool:
    return all(map(is_number, values))


def on_a_scale(values: Sequence[Any], color_type: str | None) -> bool:
    """Whether values are colours of a scale and no categories. Few different whole numbers are categories, as
    numbers of clusters are."""
    if color_type is not None:
        return color_type == "number"
    if not _numeric(values):
        return False
    different = {entry for entry in values if entry is not None}
    return len(different) > CATEGORIES or any(float(entry) != int(entry) for entry in different)


def _range(values: Sequence[Any]) -> list[float]:
    """Return the range of the values. Excludes outliers if they would take up most of the range."""
    numbers = np.array([entry for entry in values if entry is not None], dtype=np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    inner_low, inner_high = (float(each) for each in np.percentile(numbers, (1, 99)))
    if inner_high > inner_low and high - low > 1.5 * (inner_high - inner_low):
        return [inner_low, inner_high]
    return [low, high]


def _scaled(alt: Any, rows: Rows, name: str, values: Sequence[Any]) -> tuple[Rows, Any]:
    """Add each row's number. Returns the rows in drawing order, and the colour encoding."""
    for row, entry in zip(rows, values, strict=True):
        row["value"] = entry
    scale = alt.Scale(scheme="viridis", domain=_range(values), clamp=True)
    legend = alt.Legend(title=name, gradientLength=200)
    known = alt.Color("value:Q", scale=scale, legend=legend)
    drawn = sorted(rows, key=lambda row: row["value"] is not None)
    return drawn, alt.condition("isValid(datum.value)", known, alt.value(_PALE))


def _categorised(alt: Any, rows: Rows, name: str, values: Sequence[Any]) -> tuple[Rows, Any]:
    """Add each row's category. Returns the rows in drawing order, and the colour encoding.

    The most frequent values get the colours. Numbers are in ascending order, others by frequency.
    """
    texts = [None if entry is None else inert(text.value(entry, 40)) for entry in values]
    amounts = Counter(entry for entry in texts if entry is not None)
    frequent = [entry for entry, _ in amounts.most_common(CATEGORIES)]
    if _numeric(values):
        order = {inert(text.value(entry, 40)): entry for entry in values if entry is not None}
        frequent.sort(key=order.__getitem__)
    domain, colours = frequent, list(_PALETTE[: len(frequent)])
    rest = ""
    if len(amounts) > CATEGORIES:
        frequent = frequent[: CATEGORIES - 1]
        rest = f"{len(amounts) - len(frequent)} others"
        domain, colours = [*frequent, rest], [*_PALETTE[: CATEGORIES - 1], _GREY]
    if None in texts:
        domain, colours = [*domain, MISSING], [*colours, _PALE]
    for row, entry in zip(rows, texts, strict=True):
        row["value"] = MISSING if entry is None else entry
        row["colour"] = row["value"] if entry is None or entry in frequent else rest
    # draws grey dots first, below the others
    grey = {MISSING, rest}
    drawn = sorted(rows, key=lambda row: row["colour"] not in grey)
    scale = alt.Scale(domain=domain, range=colours)
    legend = alt.Legend(title=name, symbolLimit=0, labelLimit=220, symbolOpacity=1)
    return drawn, alt.Color("colour:N", scale=scale, legend=legend)
