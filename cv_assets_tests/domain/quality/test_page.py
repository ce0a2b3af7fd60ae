"""The page: it shows what the report says, and whatever a file or a label is called, it stays text on a page that loads nothing."""

import base64
import re
import socket

import polars as pl
import pytest
from PIL import Image

from cv_assets.domain.quality.page import MOST_PICTURE_BYTES, marked, page
from cv_assets.domain.quality.plots import draw_box, fit
from cv_assets.domain.quality.report import QUARANTINED, About, pictures_wanted, report_json
from cv_assets.domain.rendering import thumbnail
from cv_assets_tests.domain.images import decoded, encode, noise
from cv_assets_tests.domain.quality.reported import NAMES, Seen, boxed_tables, finding, page_of, tables
from cv_assets_tests.domain.quality.test_report import CIRCLES, near_rows
from cv_assets_tests.domain.tables import config, image_id, label_row, manifest
from schemas.codes import FINDINGS
from schemas.images import Limits
from schemas.tables import to_frame

DARK = [finding("dark", name, score=0.125, threshold=0.32) for name in CIRCLES[:3]]
LOADING = {"script", "link", "iframe", "object", "embed", "form", "base", "video", "audio", "source"}


def full(name):
    """A page on which a name stands everywhere where one can: paths, labels, evidence, details, the description."""
    images = manifest({f"{name}{n}.png": [name] for n in range(3)})
    ids = images["image_id"].to_list()
    labels = [
        label_row(f"{name}{n}.png", name, place=n, box=(1, 1, 9, 9), image_id=one, source=name)
        for n, one in enumerate(ids)
    ]
    rows = [
        finding(code, image_id=ids[0], path=name, annotation_id=f"{name}#0", evidence='{"detail": "a", "b": 1}')
        for code in FINDINGS
    ]
    rejected = {"path": name, "size_bytes": 1, "stage": "probe", "reason": "undecodable", "detail": name}
    near = [{"image_id": one, "cluster_id": ids[0], "distance_bits": 1, "component_id": ids[0]} for one in ids]
    held = tables(
        *rows,
        manifest=images,
        annotations=to_frame("annotations", labels),
        quarantine=to_frame("quarantine", [rejected]),
        near_duplicates=to_frame("near_duplicates", near),
    )
    return page_of(held, description=name)


def test_the_page_says_what_was_found_and_where():
    seen = Seen(page_of(tables(*DARK)))
    assert "Nothing found here blocks this version." in seen.text
    assert "The brightest parts of the image are dark." in seen.text
    assert "0.125" in seen.text
    for name in CIRCLES[:3]:
        assert name in seen.text
    assert "dark, number 1" in seen.values("img", "alt")


COMPARED = [("dark", "Found under 0.5"), ("light", "Found above 0.5"), ("duplicate-box", "Found from 0.5 on"),
            ("duplicates-disagree", "Found from 0.5 on")]  # fmt: skip


@pytest.mark.parametrize(("code", "words"), COMPARED)
def test_how_a_score_is_compared_with_the_threshold_is_said(code, words):
    assert words in Seen(page_of(tables(finding(code, CIRCLES[0], score=0.5, threshold=0.5)))).text


def test_what_blocks_is_said_first():
    html = page_of(tables(*DARK, finding("box-without-area", CIRCLES[5], severity="ERROR")))
    assert "This version is blocked." in Seen(html).text
    assert html.index('id="blocking"') < html.index('id="findings"')
    assert html.index('id="kind-box-without-area"') < html.index('id="kind-dark"')


def test_every_link_leads_to_a_place_of_the_page():
    seen = Seen(page_of(tables(*DARK, finding("box-without-area", CIRCLES[5], severity="ERROR"))))
    ids = {attributes["id"] for _, attributes in seen.elements if "id" in attributes}
    targets = seen.values("a", "href")
    assert targets
    assert {target.removeprefix("#") for target in targets} <= ids


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_is_text_and_adds_no_element_and_no_attribute(name):
    plain, seen = Seen(full("plain")), Seen(full(name))
    assert not LOADING & {tag for tag, _ in seen.elements}
    assert [(tag, sorted(said)) for tag, said in seen.elements] == [(tag, sorted(said)) for tag, said in plain.elements]
    assert not [key for _, said in seen.elements for key in said if key.startswith("on")]
    assert seen.text.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", [NAMES["markup"], NAMES["a quoted attribute"], NAMES["entities"], NAMES["a template"]])
def test_a_name_is_read_as_it_is_written(name):
    assert name in Seen(full(name)).text


def test_nothing_is_loaded_from_elsewhere():
    html = full(NAMES["an address"])
    seen = Seen(html)
    policy = next(said["content"] for tag, said in seen.elements if tag == "meta" and said.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert all(source.startswith("data:image/jpeg;base64,") for source in seen.values("img", "src"))
    assert not seen.values("image", "href")
    assert not re.search(r"url\(|@import", html)


def test_making_a_page_asks_no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert page_of(tables(*DARK))


def test_pictures_hold_neither_exif_nor_gps():
    exif = Image.Exif()
    exif[0x010E] = "a secret in the description"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 0.0)
    photo = encode(noise((300, 200)), "JPEG", exif=exif, xmp=b"a secret packet", icc_profile=b"a secret profile")
    assert b"secret" in photo
    small = thumbnail(photo, Limits(), 128)
    html = page_of(tables(*DARK), thumbnails={image_id(CIRCLES[0]): small})
    (source,) = set(Seen(html).values("img", "src"))
    shown = base64.b64decode(source.removeprefix("data:image/jpeg;base64,"))
    assert shown == small
    assert b"secret" not in shown
    assert b"Exif" not in shown
    picture = decoded(shown)
    assert not picture.getexif()
    assert not {"exif", "icc_profile", "xmp"} & set(picture.info)


def test_a_picture_that_is_missing_is_said_in_its_place():
    seen = Seen(page_of(tables(*DARK), thumbnails={}))
    assert not seen.values("img", "src")
    assert "no picture here" in seen.text
    assert CIRCLES[0] in seen.text


def test_a_rejected_file_is_listed_without_a_picture():
    seen = Seen(page_of(tables(*DARK, finding("truncated", "circle/broken.png", evidence='{"detail": "cut off"}'))))
    assert "cut off" in seen.text
    assert "circle/empty.png" in seen.text  # in the quarantine
    assert not [words for words in seen.values("img", "alt") if words.startswith("truncated")]


def test_a_long_quarantine_names_the_command_that_lists_all_of_this_version():
    said = {"size_bytes": 1, "stage": "probe", "reason": "undecodable", "detail": ""}
    many = [{"path": f"{number}.png", **said} for number in range(QUARANTINED + 1)]
    seen = Seen(page_of(tables(quarantine=to_frame("quarantine", many))))
    # without --version it speaks of the last version, and without --json it lists some
    assert "and 1 more: cv-assets quarantine shapes --version v1 --json" in " ".join(seen.text.split())


def test_the_box_is_drawn_on_the_picture():
    seen = Seen(page_of(boxed_tables()))
    (meant,) = [said for tag, said in seen.elements if tag == "rect" and said.get("class") == "meant"]
    # 64 × 48 pixels are not enlarged; what lies outside is cut off at the margin
    assert [float(meant[key]) for key in ("x", "y", "width", "height")] == [-5.0, 12.0, 37.0, 24.0]


def test_a_label_whose_only_box_is_beyond_reckoning_has_no_share_and_a_page():
    boxes = [label_row("circle/1.png", "circle", box=(0, 0, 1e200, 1e200))]
    assert "–" in Seen(page_of(tables(annotations=to_frame("annotations", boxes)))).text


BOXES = [
    # shares of the sides, size, mark, is there a ring
    ([0.25, 0.25, 0.75, 0.5], (640, 480), (32.0, 24.0, 64.0, 24.0), False),
    ([0.5, 0.5, 0.5, 0.5], (640, 480), (64.0, 48.0, 0.0, 0.0), True),  # no area
    ([0.75, 0.5, 0.25, 0.25], (640, 480), (32.0, 24.0, 64.0, 24.0), False),  # corners in the wrong order
    ([-1e305, 0.0, 1e305, 1.0], (100, 50), (-5.0, 0.0, 110.0, 50.0), False),
    ([2.0, 2.0, 3.0, 3.0], (100, 50), (105.0, 55.0, 0.0, 0.0), True),  # far outside
]


@pytest.mark.parametrize(("box", "size_px", "mark", "has_ring"), BOXES)
def test_a_box_lies_where_its_shares_say(box, size_px, mark, has_ring):
    drawn = draw_box(box, size_px)
    assert tuple(drawn.mark[:4]) == mark
    assert (drawn.ring is not None) is has_ring


@pytest.mark.parametrize("size_px", [(640, 480), (333, 1000), (1, 5000), (60_000, 7), (128, 128), (8, 8), (129, 5)])
def test_a_thumbnail_is_as_large_as_the_page_says(size_px):
    if max(size_px) < 10_000:
        small = decoded(thumbnail(encode(Image.new("RGB", size_px), "PNG"), Limits(min_side_px=1), 128))
        assert all(abs(one - other) <= 1 for one, other in zip(small.size, fit(size_px), strict=True))
    assert 1 <= min(fit(size_px)) <= max(fit(size_px)) <= 128


def test_the_largest_page_stays_below_ten_megabytes():
    name = "\u202e&<" * 2_000
    images = manifest({f"{n}.png": [f"{name}{n % 90}", f"{n} {name}"] for n in range(700)})
    ids = images["image_id"].to_list()
    evidence = '{"a": "%s", "b": "%s", "c": "%s"}' % (("\u202e&<" * 100,) * 3)
    rows = [
        finding(code, image_id=ids[(place * 17 + n) % 700], path=name, evidence=evidence)
        for place, code in enumerate(FINDINGS)
        for n in range(100)
    ]
    near = [
        {"image_id": one, "cluster_id": ids[n // 9 * 9], "distance_bits": 1, "component_id": ids[0]}
        for n, one in enumerate(ids)
    ]
    labels = [label_row(f"{n}.png", name, image_id=one) for n, one in enumerate(ids)]
    held = tables(
        *rows,
        manifest=images.with_columns(pl.Series("paths", [[name, f"{name}2"]] * 700)),
        near_duplicates=to_frame("near_duplicates", near),
        annotations=to_frame("annotations", labels),
    )
    wanted = config(quality={"thumbnails": 100})
    large = encode(noise((128, 128)), "JPEG", quality=95)  # no photo is larger
    pictures = dict.fromkeys(pictures_wanted(held, wanted), large)
    made = page(report_json(held, wanted, About("shapes", "v1")), pictures)
    assert MOST_PICTURE_BYTES / 2 < len(made) < 10_000_000
    assert "no picture here" in made.decode()


def test_equal_reports_give_equal_bytes():
    held = tables(*DARK, near_duplicates=near_rows(CIRCLES[:2], CIRCLES[2:6]))
    assert page_of(held) == page_of(held)


@pytest.mark.parametrize(("label", "shown"), [("a b", "a b"), (" a", "␣a"), ("a  ", "a␣␣"), ("  ", "␣␣"), ("", "")])
def test_space_at_the_ends_of_a_label_is_marked(label, shown):
    assert marked(label) == shown
