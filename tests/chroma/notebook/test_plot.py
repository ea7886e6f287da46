"""`plot`: what is drawn, and how."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.notebook import chart, plot, projection

from ...support.checks import refused

HOSTILE = "</script><script>alert(1)</script><!--"


@pytest.fixture(scope="module")
def things() -> Any:
    """60 records in two heaps."""
    random = np.random.default_rng(5)
    vectors = random.normal(size=(60, 8)).astype(np.float32)
    vectors[30:, 0] += 20
    with chroma.EphemeralClient(private=True) as client:
        collection = client.create_collection("things", embedding_function=None)
        collection.add(
            ids=[f"r{i}" for i in range(60)],
            embeddings=vectors,
            documents=[f"text {i}" for i in range(60)],
            metadatas=[
                {"heap": "left" if i < 30 else "right", "n": i, "many": f"kind {i % 25}", "ok": i % 2 == 0}
                | ({"rare": 1.5} if i == 7 else {})
                | ({HOSTILE: HOSTILE} if i == 8 else {})
                for i in range(60)
            ],
        )
        yield collection


def spec(made: Any) -> Any:
    """The chart as Vega-Lite, of a layered one the first layer in its place."""
    whole = made.to_dict()
    return {**whole, **whole["layer"][0]} if "layer" in whole else whole


def values(made: Any) -> list[dict[str, Any]]:
    found = spec(made)
    data = found["data"]
    return list(data["values"] if "values" in data else found["datasets"][data["name"]])


def test_a_map(client: Any) -> None:
    collection = client.create_collection("things", embedding_function=None)
    collection.add(
        ids=["a", "b", "c"], embeddings=[[0, 0], [1, 0], [5, 1]], metadatas=[{"n": i} for i in (1, 2, 3)]
    )
    made = collection.plot("n", label="id")
    assert spec(made)["title"] == "things: 3 records"
    drawn = {row["id"]: row for row in values(made)}
    assert drawn.keys() == {"a", "b", "c"}
    assert drawn["a"]["x"] < drawn["b"]["x"] < drawn["c"]["x"]
    assert [drawn[id]["value"] for id in "abc"] == ["1", "2", "3"]


def test_texts_are_categories(things: Any) -> None:
    colours = spec(things.plot("heap"))["encoding"]["color"]
    assert colours["type"] == "nominal"
    assert colours["legend"]["title"] == "heap"
    assert colours["scale"]["domain"] == ["left", "right"]
    assert spec(things.plot("ok"))["encoding"]["color"]["scale"]["domain"] == ["True", "False"]


def test_of_many_categories_the_rarest_share_a_colour(things: Any) -> None:
    made = things.plot("many")
    domain = spec(made)["encoding"]["color"]["scale"]["domain"]
    assert len(domain) == 20
    assert domain[-1] == "6 others"
    assert values(made)[0]["colour"] == "6 others"  # drawn below
    assert {row["value"] for row in values(made)} == {f"kind {i}" for i in range(25)}  # for the tooltip


def test_numbers_have_a_scale(things: Any) -> None:
    colours = spec(things.plot("n"))["encoding"]["color"]["condition"]
    assert colours["type"] == "quantitative"
    assert colours["scale"]["domain"] == [0, 59]


def clusters(kind: Any, *others: Any) -> Any:
    return [kind(n % 3) for n in range(60)] + list(others)


@pytest.mark.parametrize(
    ("values", "color_type", "scaled"),
    [
        (clusters(int), None, False),
        (clusters(float, None), None, False),
        (clusters(int, -1), None, False),
        (clusters(int), "number", True),
        (clusters(float, 0.5), None, True),
        (list(range(20)), None, False),
        (list(range(21)), None, True),
        (list(range(21)), "category", False),
        (clusters(str), None, False),
        (clusters(bool), None, False),
        (clusters(int, "x"), None, False),
    ],
)
def test_few_whole_numbers_are_categories(values: Any, color_type: Any, scaled: bool) -> None:
    assert chart.on_a_scale(values, color_type) is scaled


def test_categories_of_numbers_are_in_order(things: Any) -> None:
    clusters = [{"cluster": (7 * n) % 12 - 1} for n in range(60)]
    things.update(ids=[f"r{n}" for n in range(60)], metadatas=clusters)
    colours = spec(things.plot("cluster"))["encoding"]["color"]
    assert colours["scale"]["domain"] == [str(n) for n in range(-1, 11)]
    assert len(set(colours["scale"]["range"])) == 12
    scaled = spec(things.plot("cluster", color_type="number"))["encoding"]["color"]
    assert scaled["condition"]["type"] == "quantitative"
    assert spec(things.plot("n", color_type="category"))["encoding"]["color"]["type"] == "nominal"


def test_outliers_do_not_take_the_scale() -> None:
    assert chart._range([*range(1000), 10**9, None]) == [10.0, 990.0]
    assert chart._range([3, 3]) == [3.0, 3.0]


def test_records_without_the_key(things: Any) -> None:
    made = things.plot("rare")
    assert [row["value"] for row in values(made)].count(None) == 59
    assert values(made)[-1]["value"] == 1.5
    colours = spec(things.plot(HOSTILE))["encoding"]["color"]
    assert colours["scale"]["domain"][-1] == "(none)"


def test_tooltips_and_labels(things: Any) -> None:
    made = things.plot("n", "heap")
    assert [entry["title"] for entry in spec(made)["encoding"]["tooltip"]] == ["id", "heap", "document", "n"]
    assert "layer" in made.to_dict()  # few enough for labels beside the dots
    assert values(things.plot(label="document"))[3]["label"] == "text 3"
    assert [entry["title"] for entry in spec(things.plot())["encoding"]["tooltip"]] == ["id", "document"]


def test_it_can_be_moved(things: Any) -> None:
    assert things.plot().to_dict()["params"][0]["bind"] == "scales"


def test_a_sample_of_a_large_collection(things: Any) -> None:
    made = things.plot(limit=20)
    assert made.to_dict()["title"] == "things: 20 of 60 records"
    ids = [row["id"] for row in values(made)]
    assert len(set(ids)) == 20
    assert [row["id"] for row in values(things.plot(limit=20))] == ids
    assert [row["id"] for row in values(things.plot(limit=20, seed=1))] != ids
    assert any(int(id[1:]) >= 30 for id in ids)
    assert any(int(id[1:]) < 30 for id in ids)


def test_only_records_that_match(things: Any) -> None:
    assert things.plot(where={"heap": "left"}).to_dict()["title"] == "things: 30 records"
    assert things.plot(where={"heap": "left"}, limit=7).to_dict()["title"] == "things: 7 of 30 records"


def test_more_rows_than_altair_takes_by_itself() -> None:
    laid = projection.Projection(np.zeros((5001, 2)), ("x", "y"))
    texts = [str(i) for i in range(5001)]
    made = chart.make(laid, title="t", ids=texts, documents=texts, label=None, color=None, size=(100, 100))
    assert len(values(made)) == 5001


def test_files(things: Any, tmp_path: Path) -> None:
    for name, beginning in (("a.PNG", b"\x89PNG\r\n\x1a\n"), ("a.svg", b"<svg")):
        things.plot("heap", file=tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(beginning)
    things.plot("heap", width=300, height=200, file=str(tmp_path / "b.png"))
    assert len((tmp_path / "b.png").read_bytes()) < len((tmp_path / "a.PNG").read_bytes())


def test_a_page_loads_nothing_and_holds_no_text_as_markup(things: Any, tmp_path: Path) -> None:
    things.plot("heap", file=tmp_path / "plain.html")
    things.plot(HOSTILE, HOSTILE, file=tmp_path / "hostile.html")
    plain, hostile = ((tmp_path / name).read_text("utf-8") for name in ("plain.html", "hostile.html"))
    assert "<script src" not in plain
    assert "cdn.jsdelivr.net/npm/vega@" not in plain
    assert hostile.count("<script") == plain.count("<script")
    assert hostile.count("</script") == plain.count("</script")
    assert hostile.count("<!--") == plain.count("<!--")
    assert "alert(1)" in hostile


def test_what_is_asked_for_must_be_there(things: Any) -> None:
    with refused("color_by='lexname'", "'heap'", "'n'", "plot: "):
        things.plot("lexname")
    with refused("label='lexname'", "'heap'"):
        things.plot(label="lexname")
    with refused("there is nothing to plot", "'things'"):
        things.plot(where={"heap": "nowhere"})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"color_by": 5}, "color_by"),
        ({"color_by": "n", "color_type": "ordinal"}, "category, number"),
        ({"color_type": "number"}, "color_by, which is not given"),
        ({"color_by": "heap", "color_type": "number"}, "pass 'category'"),
        ({"label": ["a"]}, "label"),
        ({"method": "pcoa"}, "pca, tsne, umap"),
        ({"limit": 0}, "limit"),
        ({"limit": "all"}, "limit"),
        ({"seed": -1}, "seed"),
        ({"width": 0}, "width"),
        ({"height": -5}, "height"),
        ({"file": "map.pdf"}, ".png, .svg, .html"),
        ({"file": 5}, "file"),
        ({"file": "no/such/folder/map.png"}, "no/such/folder"),
    ],
)
def test_bad_arguments(things: Any, arguments: dict[str, Any], told: str) -> None:
    with refused(told):
        things.plot(**arguments)


@pytest.mark.parametrize(
    ("package", "told"),
    [
        ("altair", "pip install 'chroma-arrow[plot]'"),
        ("vl_convert", "pip install vl-convert-python"),
        ("umap", "pip install umap-learn"),
        ("sklearn.manifold", "pip install scikit-learn"),
    ],
)
def test_packages_that_are_missing_are_named(
    things: Any, package: str, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    method: Any = "tsne" if package.startswith("sklearn") else "umap"
    with refused(told):
        things.plot(method=method, file=tmp_path / "map.png")
    assert not (tmp_path / "map.png").exists()


def test_tsne_keeps_groups_together(things: Any) -> None:
    pytest.importorskip("sklearn")
    made = things.plot("heap", method="tsne", seed=3)
    assert spec(made)["encoding"]["x"]["title"] == "t-SNE 1"
    points = np.array([[row["x"], row["y"]] for row in values(made)])
    left = np.array([row["value"] == "left" for row in values(made)])
    apart = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag([np.inf] * 60)
    nearest = apart.argmin(axis=1)
    assert (left[nearest] == left).all()
    again = things.plot("heap", method="tsne", seed=3)
    assert values(again) == values(made)
    with refused("method='tsne' needs at least 4 records, there are 3"):
        things.plot(method="tsne", limit=3)


def test_the_output_of_a_renderer_that_was_chosen(things: Any) -> None:
    alt = pytest.importorskip("altair")
    made = things.plot("heap")
    assert isinstance(made, alt.Chart) and type(made.properties(width=100)) is type(made)
    with alt.renderers.enable("png"):
        content, _ = made._repr_mimebundle_()
        assert content.keys() == {"image/png"}


def test_umap(things: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    class Umap:
        def __init__(self, **settings: Any) -> None:
            asked.update(settings)

        def fit_transform(self, vectors: Any) -> Any:
            return np.asarray(vectors)[:, :2] + 1000

    stand_in = ModuleType("umap")
    vars(stand_in).update(vars(SimpleNamespace(UMAP=Umap)))
    monkeypatch.setitem(sys.modules, "umap", stand_in)
    made = things.plot(method="umap", seed=3)
    assert asked == {
        "n_components": 2,
        "n_neighbors": 15,
        "metric": "euclidean",
        "random_state": 3,
        "n_jobs": 1,
    }
    assert all(row["x"] > 900 for row in values(made))
    assert spec(made)["encoding"]["x"]["title"] == "UMAP 1"
    with refused("method='umap' needs at least 4 records, there are 3"):
        things.plot(method="umap", limit=3)


def test_pca_keeps_the_plane_of_flat_vectors() -> None:
    """Distances between vectors of a plane are those of their points."""
    random = np.random.default_rng(1)
    flat = random.normal(size=(20, 2)) @ random.normal(size=(2, 9))
    for rows in (20, 5):  # more rows than dimensions, and fewer
        vectors = flat[:rows].astype(np.float32)
        points = projection.pca(vectors).points
        apart = [np.linalg.norm(each[:, None] - each[None], axis=2) for each in (vectors, points)]
        np.testing.assert_allclose(apart[0], apart[1], atol=1e-4)
        assert all(points[np.abs(points[:, axis]).argmax(), axis] > 0 for axis in (0, 1))
        assert np.ptp(points[:, 0]) >= np.ptp(points[:, 1]) * 0.5
        np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-5)


def test_pca_of_many_dimensions_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    vectors = (random.normal(size=(80, 60)) * 0.9 ** np.arange(60)).astype(np.float32)
    exact = projection.pca(vectors)
    monkeypatch.setattr(projection, "_LARGE", 50)
    assert projection._iterated(projection._Centred(vectors)) is not None
    found = projection.pca(vectors)
    np.testing.assert_allclose(found.points, exact.points, atol=1e-5)
    assert found.axes == exact.axes
    monkeypatch.setattr(projection, "_ROUNDS", 1)  # not enough: done the other way
    np.testing.assert_allclose(projection.pca(vectors).points, exact.points, atol=1e-5)


@pytest.mark.parametrize(
    ("vectors", "points"),
    [
        ([[3]], [[0, 0]]),
        ([[1], [2], [6]], [[-2, 0], [-1, 0], [3, 0]]),
        ([[1, 2], [1, 2]], [[0, 0], [0, 0]]),
        ([[0, 0, 0], [2, 0, 0]], [[-1, 0], [1, 0]]),
        ([[0], [4]], [[-2, 0], [2, 0]]),
    ],
)
def test_pca_of_very_little(vectors: Any, points: Any) -> None:
    found = projection.pca(np.array(vectors, dtype=np.float32))
    np.testing.assert_allclose(np.abs(found.points), np.abs(points), atol=1e-7)
    assert found.points.shape == (len(vectors), 2)
    assert "nan" not in "".join(found.axes)


def test_cosine_compares_directions() -> None:
    with chroma.EphemeralClient(private=True) as client:
        collection = client.create_collection(
            "things", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )
        collection.add(ids=["a", "b", "c"], embeddings=[[1, 0], [100, 0], [0, 1]])
        drawn = {row["id"]: row["x"] for row in values(collection.plot())}
    assert drawn["a"] == pytest.approx(drawn["b"])
    assert drawn["a"] != pytest.approx(drawn["c"])
    assert projection.unit(np.zeros((1, 2), np.float32)).tolist() == [[0, 0]]


def test_importing_the_package_loads_no_plotting_library() -> None:
    import subprocess

    code = (
        "import chroma, sys\n"
        "c = chroma.EphemeralClient().create_collection('things', embedding_function=None)\n"
        "c._repr_html_(); c.describe(); assert not {'altair', 'pandas', 'vl_convert'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_sample_does_not_depend_on_the_order() -> None:
    wanted = plot.PlotArguments(None, None, None, 10, "pca", 0, 1, 1, None)
    ids = [f"id {i}" for i in range(1000)]
    assert set(wanted.sample(ids)) == set(wanted.sample(ids[::-1]))
    assert wanted.sample(ids) == sorted(wanted.sample(ids), key=ids.index)
