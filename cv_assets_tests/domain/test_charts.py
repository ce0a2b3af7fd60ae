"""Charts: small whatever the data set, with names drawn as pixels, and bars and lines where the figures are."""

import json

import numpy as np
import polars as pl
import pytest

from cv_assets.domain.charts import FIGURES, HISTOGRAMS_SHOWN, draw_drift, draw_history
from cv_assets.domain.quality.drift import build_drift
from cv_assets.domain.quality.history import HISTORY
from cv_assets.domain.quality.plots import CATEGORIES, pairs, shares
from cv_assets_tests.domain.images import decoded
from cv_assets_tests.domain.tables import manifest
from schemas.quality import DriftConfig
from schemas.tables import to_frame

BLUE, RED = (46, 110, 180), (196, 66, 60)
NAMES = ["x" * 5_000, "größe ﷺ 漢字 😀 " * 40, "new\nline\0", "\u202eright to left", "<script>alert(1)</script>", ""]


def history(**figures):
    """A history of {figure: values over v1, v2, …}, None where a version lacks it."""
    rows = [
        {"version": f"v{place}", "figure": figure, "unit": "things", "value": value}
        for figure, values in figures.items()
        for place, value in enumerate(values, start=1)
        if value is not None
    ]
    return pl.DataFrame(rows, schema=HISTORY, orient="row").sort("version", maintain_order=True)


def drift(shift=0.0, labels=("cat", "dog"), images=200):
    """The drift of drawn images, brighter by `shift`."""

    def tables(seed, mean):
        draw = np.random.default_rng(seed)
        frame = manifest({f"{seed}/{n}": [labels[int(draw.integers(len(labels)))]] for n in range(images)})
        bright = pl.Series("brightness_ratio", np.clip(draw.normal(mean, 0.1, images), 0, 1))
        return {"manifest": frame.with_columns(bright), "annotations": to_frame("annotations", [])}

    return build_drift(tables(2, 0.5 + shift), tables(1, 0.5), DriftConfig())


def near(picture, colour):
    """Pixels of about that colour, as (x, y), shape (n, 2)."""
    pixels = np.asarray(decoded(picture).convert("RGB")).astype(int)
    rows, columns = np.nonzero(np.abs(pixels - colour).max(axis=2) < 40)
    return np.stack([columns, rows], axis=1)


def test_every_figure_over_many_versions_stays_small():
    draw = np.random.default_rng(0)
    drawn = draw_history(history(**{figure: draw.lognormal(5, 2, 500).tolist() for figure in FIGURES}))
    assert decoded(drawn).format == "JPEG"
    assert len(drawn) < 100_000  # zigzags without an end; the twenty versions of a history are fewer
    assert len(draw_history(history(**{figure: draw.lognormal(5, 2, 20).tolist() for figure in FIGURES}))) < 60_000


def test_a_line_that_rises_is_drawn_from_the_lower_left_to_the_upper_right():
    points = near(draw_history(history(**{"records.images": [0, 10, 20, 30]})), BLUE)
    left, right = points[points[:, 0].argmin()], points[points[:, 0].argmax()]
    assert left[1] > right[1] + 80


def test_a_version_that_lacks_a_figure_is_a_gap():
    whole = near(draw_history(history(**{"records.images": [5, 5, 5, 5, 5]})), BLUE)
    broken = near(draw_history(history(**{"records.images": [5, 5, None, 5, 5], "records.files": [1] * 5})), BLUE)
    middle = (whole[:, 0].min() + whole[:, 0].max()) // 2
    assert (np.abs(whole[:, 0] - middle) < 10).any()
    assert not (np.abs(broken[:, 0] - middle) < 10).any()


def test_figures_that_nobody_has_are_not_shown():
    one = decoded(draw_history(history(**{"records.images": [1, 2]})))
    four = decoded(draw_history(history(**{figure: [1, 2] for figure in list(FIGURES)[:4]})))
    assert (four.width, four.height) == (3 * one.width, 2 * one.height)


@pytest.mark.parametrize("values", [[0.0], [0, 0], [-1, -1], [7], [1e-9, 1e12], [5, 5.0001], [1e300, -1e300]])
def test_any_figures_can_be_drawn(values):
    assert decoded(draw_history(history(**{"records.images": values}))).format == "JPEG"


def test_an_empty_history_and_an_empty_drift_have_a_picture_too():
    assert decoded(draw_history(history())).format == "JPEG"
    assert decoded(draw_drift(to_frame("drift", []), "v1", "v2")).format == "JPEG"


def test_what_drifted_is_red_and_what_did_not_is_blue():
    legend = 26
    changed, same = draw_drift(drift(0.3), "v1", "v2"), draw_drift(drift(), "v1", "v2")
    assert (near(changed, RED)[:, 1] > legend).any()
    assert not (near(same, RED)[:, 1] > legend).any()
    assert (near(same, BLUE)[:, 1] > legend).any()


def test_histograms_stay_small_and_few():
    drawn = draw_drift(drift(0.2, labels=[f"class {n}" for n in range(300)], images=4_000), "v1", "v2")
    assert len(drawn) < 60_000
    assert decoded(drawn).height < 190 * (HISTOGRAMS_SHOWN // 3) + 60


def test_a_class_that_came_to_be_half_of_all_is_among_those_that_are_shown():
    def tables(labels):
        images = manifest({f"{n}.png": [label] for n, label in enumerate(labels)})
        return {"manifest": images, "annotations": to_frame("annotations", [])}

    before = [f"class {n:02}" for n in range(60) for _ in range(30 + n)]
    found = build_drift(tables([*before, *["zebra"] * len(before)]), tables(before), DriftConfig())
    evidence = json.loads(found.row(by_predicate=pl.col("property") == "label", named=True)["evidence"])
    shown = {name: (one, other) for name, one, other, _, _ in shares(evidence)}
    assert shown["zebra"] == (0.0, 0.5)
    assert list(shown)[-1] == "(all others)"
    assert sum(other for _, other in shown.values()) == pytest.approx(1.0, abs=1e-4)
    assert len(shown) == CATEGORIES + 1
    assert any(other.title == "zebra: 0.0% → 50.0%" for _, other in pairs(evidence, 280, 84))
    tall = near(draw_drift(found.filter(property="label"), "v1", "v2"), RED)
    assert np.ptp(tall[tall[:, 1] > 26][:, 1]) > 100  # its bar is in the picture


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_drawn(name):
    assert decoded(draw_drift(drift(labels=(name, f"{name}!")), name, name)).format == "JPEG"
    named = history(**{"records.images": [1, 2]}).with_columns(version=pl.Series([name, f"{name}!"]))
    assert decoded(draw_history(named)).format == "JPEG"


def test_equal_tables_make_equal_pictures():
    assert draw_drift(drift(0.1).reverse(), "v1", "v2") == draw_drift(drift(0.1), "v1", "v2")
    figures = {figure: [1, 2, 3] for figure in FIGURES}
    assert draw_history(history(**figures)) == draw_history(history(**dict(reversed(figures.items()))))
