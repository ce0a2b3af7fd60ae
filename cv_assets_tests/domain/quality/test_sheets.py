"""Pictures of the report for the UI: small, whatever is in the data, and left out where there is nothing to show."""

import numpy as np
import pytest
from PIL import Image

from cv_assets.domain.quality.sheets import KINDS, SIDE_PX, draw_duplicates, draw_findings, draw_sheets
from cv_assets.domain.rendering import thumbnail
from cv_assets_tests.domain.images import decoded, encode
from cv_assets_tests.domain.quality.reported import NAMES, THUMBNAIL, boxed_tables, finding, tables
from cv_assets_tests.domain.quality.test_report import CIRCLES, near_rows
from cv_assets_tests.domain.tables import image_id, label_row, manifest, sound_tables
from schemas.codes import FINDINGS
from schemas.images import Limits
from schemas.tables import to_frame

MOST_BYTES = 150_000
SOUND = sound_tables()


def pixels(jpeg):
    return np.asarray(decoded(jpeg).convert("RGB")).astype(int)


def test_there_is_a_sheet_of_everything_that_there_is():
    found = draw_sheets(boxed_tables(), {})
    assert list(found) == ["findings", "duplicates", "classes", "sizes", "boxes"]
    assert {decoded(sheet).format for sheet in found.values()} == {"JPEG"}


def test_what_there_is_not_is_left_out():
    empty = {name: frame.clear() for name, frame in SOUND.items()}
    assert draw_sheets(empty, {}) == {}
    assert set(draw_sheets(tables(manifest=manifest({"a.png": ["a"]})), {})) == {"classes", "sizes"}


def test_the_worst_images_are_shown_and_a_missing_thumbnail_stays_grey():
    rows = [finding("dark", name) for name in CIRCLES[:2]]
    red = thumbnail(encode(Image.new("RGB", (200, 200), (255, 0, 0)), "PNG"), Limits(), 128)
    sheet = pixels(draw_findings(tables(*rows), {image_id(CIRCLES[0]): red}))
    shown, missing = sheet[40, 190 + 40], sheet[40, 190 + SIDE_PX + 8 + 40]
    assert np.abs(shown - [255, 0, 0]).max() < 12
    assert np.abs(missing - 225).max() < 12


def test_the_box_of_a_finding_is_drawn():
    plain = pixels(
        draw_findings(tables(finding("box-out-of-bounds", "circle/1.png")), {image_id("circle/1.png"): THUMBNAIL})
    )
    boxed = pixels(draw_findings(boxed_tables(), {image_id("circle/1.png"): THUMBNAIL}))
    is_red = (boxed[..., 0] > 150) & (boxed[..., 1] < 110)
    assert is_red.sum() > 3 * ((plain[..., 0] > 150) & (plain[..., 1] < 110)).sum()


def test_kinds_without_a_picture_take_no_row():
    rows = [finding("class-imbalance"), finding("truncated", "circle/broken.png")]
    assert draw_findings(tables(*rows), {}) is None
    rows += [finding(code, CIRCLES[0]) for code in FINDINGS[:12]]
    assert decoded(draw_findings(tables(*rows), {})).height == 8 + KINDS * (SIDE_PX + 8)


def test_clusters_that_are_not_labelled_alike_are_red():
    mixed = ["circle/7.png", "square/7.png"]
    held = tables(near_duplicates=near_rows(mixed))
    told = tables(
        *(finding("duplicates-disagree", name, evidence='{"same_bytes":false}') for name in mixed),
        near_duplicates=near_rows(mixed),
    )
    reds = [
        ((sheet[..., 0] - sheet[..., 1]) > 60).sum()
        for sheet in (pixels(draw_duplicates(one, {})) for one in (held, told))
    ]
    assert reds[0] == 0
    assert reds[1] > 20


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_all_sheets_of_a_crowded_set_stay_small_whatever_names_it_has(name):
    images = manifest({f"{n}/{k}.png": [f"{name}{n}"] for n in range(60) for k in range(5)})
    ids = images["image_id"].to_list()
    rows = [finding(code, image_id=one, path=name) for code in FINDINGS for one in ids[:12]]
    near = [
        {"image_id": one, "cluster_id": ids[n // 6 * 6], "distance_bits": 1, "component_id": ids[n // 6 * 6]}
        for n, one in enumerate(ids)
    ]
    labels = [
        label_row(f"{n}.png", f"{name}{n % 60}", place=n, image_id=one, box=(n % 60, n % 40, 63, 47))
        for n, one in enumerate(ids)
    ]
    held = tables(
        *rows,
        manifest=images,
        near_duplicates=to_frame("near_duplicates", near),
        annotations=to_frame("annotations", labels),
    )
    found = draw_sheets(held, dict.fromkeys(ids, THUMBNAIL))
    assert set(found) == {"findings", "duplicates", "classes", "sizes", "boxes"}
    assert sum(map(len, found.values())) < MOST_BYTES


def test_equal_tables_give_equal_pictures():
    assert draw_sheets(boxed_tables(), {}) == draw_sheets(boxed_tables(), {})
