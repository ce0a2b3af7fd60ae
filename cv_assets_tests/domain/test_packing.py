"""Shards: which image goes where, and what the files hold."""

import contextlib
import gc
import io
import json
import tarfile
import warnings
from itertools import pairwise

import polars as pl
import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st

from cv_assets.domain.packing.formats import FORMATS
from cv_assets.domain.packing.plan import BLOCK, class_names, plan_shards
from cv_assets.domain.packing.webdataset import pack, sample_ids
from cv_assets_tests.domain.images import encode, picture
from cv_assets_tests.domain.tables import image_id, label_row, manifest, sound_tables
from schemas.tables import to_frame

TABLES = sound_tables()
PNG = encode(picture((16, 12)), "PNG")


def plan(max_bytes=5_000, **tables):
    return plan_shards(*({**TABLES, **tables}[name] for name in ("manifest", "splits", "annotations")), max_bytes)


def shard_of(rows, annotations=(), **columns):
    """The only shard of a manifest whose images are all for training, and its members as name → bytes."""
    images = manifest(rows).with_columns(**columns)
    splits = to_frame(
        "splits", [{"image_id": one, "split": "train", "unit": one} for one in images["image_id"].to_list()]
    )
    (planned,) = plan_shards(images, splits, to_frame("annotations", list(annotations)), 10**9)
    data = b"".join(pack(planned.samples, lambda sample: PNG))
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        return data, {member.name: opened.extractfile(member).read() for member in opened}


def test_every_dealt_image_is_planned_once_in_its_split_and_in_order_of_its_id():
    planned = plan()
    found = [(one.split, sample.image_id) for one in planned for sample in one.samples]
    dealt = TABLES["splits"].drop_nulls("split").select("split", "image_id")
    assert found == sorted(dealt.iter_rows())
    numbers = {split: [one.number for one in planned if one.split == split] for split, _ in found}
    assert all(counted == list(range(len(counted))) for counted in numbers.values())


def test_images_without_a_split_are_not_packed():
    none = TABLES["splits"].with_columns(split=pl.lit(None, dtype=pl.String))
    assert plan(splits=none) == []


def test_row_order_means_nothing():
    assert plan(**{name: TABLES[name].reverse() for name in ("manifest", "splits")}) == plan()


@given(st.lists(st.integers(1, 9_000), min_size=1, max_size=40), st.integers(10_000, 60_000))
def test_a_shard_is_no_larger_than_allowed_unless_one_image_is(sizes, max_bytes):
    images = manifest({f"{number}.png": ["a"] for number in range(len(sizes))})
    images = images.with_columns(pl.Series("size_bytes", sizes))
    splits = images.select("image_id", pl.lit("train").alias("split"), pl.col("image_id").alias("unit"))
    planned = plan(max_bytes, manifest=images, splits=splits)
    assert sum(len(one.samples) for one in planned) == len(sizes)
    for one in planned:
        written = b"".join(pack(one.samples, lambda sample: bytes(sample.size_bytes)))
        assert len(written) <= max_bytes or len(one.samples) == 1
    for one, following in pairwise(planned):  # and none is smaller than it must be
        joined = (*one.samples, following.samples[0])
        assert len(b"".join(pack(joined, lambda sample: bytes(sample.size_bytes)))) > max_bytes


def test_equal_samples_give_equal_bytes_of_whole_tar_records():
    data, _ = shard_of({"a.png": ["ant"], "b.png": ["bee"]})
    again, _ = shard_of({"b.png": ["bee"], "a.png": ["ant"]})
    assert data == again
    assert len(data) % 10_240 == 0
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode, m.type) for m in opened} == {
            (0, 0, 0, "", "", 0o644, tarfile.REGTYPE)
        }


def test_headers_are_those_that_tarfile_writes():
    data, members = shard_of({"a.png": ["ant"], "b.png": ["bee", "ant"]})
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as written:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            written.addfile(header, io.BytesIO(content))
    assert data == out.getvalue()


def test_members_are_named_by_image_id_and_detected_format_whatever_the_upload_was_called():
    hostile = ["a.b.jpg", "a.c.jpg", "evil.pyd", "x.pkl", "../../up.png", ".hidden", "no extension", "new\nline.png"]
    data, members = shard_of({name: ["ant"] for name in hostile})
    assert sample_ids(io.BytesIO(data)) == sorted(map(image_id, hostile))
    assert set(members) == {f"{image_id(name)}.{part}" for name in hostile for part in ("png", "json", "cls")}


def test_every_format_has_the_extension_of_its_content():
    formats = ["bmp", "gif", "jpeg", "png", "pnm", "tiff", "webp"]
    rows = {f"{number}.dat": ["ant"] for number in range(7)}
    _, members = shard_of(rows, format=pl.Series("format", formats))
    images = sorted(name.split(".")[1] for name in members if not name.endswith((".json", ".cls")))
    assert images == ["bmp", "gif", "jpg", "png", "ppm", "tif", "webp"]


def test_a_class_is_the_place_of_its_name_and_is_written_only_for_an_image_of_one_class():
    rows = {"a.png": ["bee"], "b.png": ["ant"], "c.png": ["ant", "bee"], "d.png": []}
    _, members = shard_of(rows)
    assert class_names(manifest(rows)) == ["ant", "bee"]
    assert members[f"{image_id('a.png')}.cls"] == b"1"
    assert members[f"{image_id('b.png')}.cls"] == b"0"
    assert f"{image_id('c.png')}.cls" not in members
    assert f"{image_id('d.png')}.cls" not in members


def test_what_is_known_of_an_image_stands_beside_it():
    labels = [
        label_row("a.png", "bee", box=(1, 2, 3.5, 4), attributes='{"truncated": 1}'),
        label_row("a.png", "ant", place=1),
        label_row("a.png", None, place=2, reason="no-object"),
        label_row("gone.png", "ant", place=3, image_id=None, reason="no-file"),
    ]
    _, members = shard_of({"a.png": (["ant", "bee"], ["one"])}, labels)
    assert json.loads(members[f"{image_id('a.png')}.json"]) == {
        "image_id": image_id("a.png"),
        "paths": ["a.png"],
        "width_px": 64,
        "height_px": 48,
        "labels": ["ant", "bee"],
        "groups": ["one"],
        "objects": [
            {"label": "bee", "box_xyxy_px": [1.0, 2.0, 3.5, 4.0], "attributes": {"truncated": 1}},
            {"label": "ant"},
        ],
    }


UNREAD = [
    # annotations of one image that shows an ant, and how many of them could not be read whole
    ([{"reason": "invalid-box"}], 1),
    ([{"label": None, "reason": "unparsable"}, {"reason": "unparsable"}], 2),
    ([{"label": None, "reason": "no-label", "box": (1, 2, 3, 4)}], 1),  # an object of nobody knows what
    ([{"label": None, "reason": "no-label"}], None),
    ([{"label": None, "reason": "no-object"}], None),
    ([{"box": (3, 3, 3, 3)}], None),  # read as it was written
]


@pytest.mark.parametrize(("others", "expected"), UNREAD)
def test_a_sample_says_how_many_of_its_objects_could_not_be_read(others, expected):
    labels = [label_row("a.png", "ant", box=(1, 2, 3, 4))]
    labels += [label_row("a.png", place=place, **{"label": "ant", **other}) for place, other in enumerate(others, 1)]
    _, members = shard_of({"a.png": ["ant"], "b.png": ["ant"]}, labels)
    known = [json.loads(members[f"{image_id(name)}.json"]) for name in ("a.png", "b.png")]
    assert [one.get("unread_objects") for one in known] == [expected, None]
    assert known[0]["objects"][0] == {"label": "ant", "box_xyxy_px": [1, 2, 3, 4]}
    assert "no_object" not in known[0] | known[1]


NOTHING_SEEN = [
    # annotations of an image, and whether they say that it shows nothing
    ([{"label": None, "reason": "no-object"}], True),
    ([{"label": None, "reason": "no-label"}, {"label": None, "reason": "no-object"}], True),  # of a copy, nobody speaks
    ([{"label": None, "reason": "no-label"}], None),
    ([], None),
    ([{"label": None, "reason": "no-object"}, {"reason": "invalid-box"}], None),
    ([{"label": None, "reason": "no-object"}, {"box": (1, 2, 3, 4)}], None),  # as another file says
]


@pytest.mark.parametrize(("said", "expected"), NOTHING_SEEN)
def test_a_sample_without_objects_says_if_somebody_saw_that_there_are_none(said, expected):
    labels = [label_row("a.png", place=place, **{"label": "ant", **one}) for place, one in enumerate(said)]
    _, members = shard_of({"a.png": []}, labels)
    assert json.loads(members[f"{image_id('a.png')}.json"]).get("no_object") is expected


def test_half_a_character_in_an_attribute_is_packed_as_the_escape_that_it_is():
    labels = [label_row("a.png", "ant", attributes='{"note": "\\ud83d ü"}')]
    _, members = shard_of({"a.png": ["ant"]}, labels)
    (known,) = json.loads(members[f"{image_id('a.png')}.json"])["objects"]
    assert known["attributes"] == {"note": "\ud83d ü"}


def test_the_same_object_said_by_two_paths_of_one_image_is_one_object():
    labels = [label_row("a.png", "ant"), label_row("b.png", "ant", image_id=image_id("a.png"))]
    _, members = shard_of({"a.png": ["ant"]}, labels)
    assert json.loads(members[f"{image_id('a.png')}.json"])["objects"] == [{"label": "ant"}]


def test_objects_that_two_copies_of_an_image_number_differently_are_one_object_each():
    labels = [
        label_row(
            path,
            "ant",
            place=place,
            box=(1, 2, 3 + place % 2, 4),
            attributes=f'{{"id": {place}}}',
            image_id=image_id("a.png"),
        )
        for place, path in enumerate(["a.png", "a.png", "b.png", "b.png"])
    ]
    _, members = shard_of({"a.png": ["ant"]}, labels)
    found = json.loads(members[f"{image_id('a.png')}.json"])["objects"]
    assert [one["attributes"]["id"] for one in found] == [0, 1]


def test_names_of_any_script_are_kept_as_they_are():
    odd = "größe/ﷺ\u202egpj.\n<b>.png"
    _, members = shard_of({odd: ["größe\n<b>"]})
    known = json.loads(members[f"{image_id(odd)}.json"])
    assert (known["paths"], known["labels"]) == ([odd], ["größe\n<b>"])


def test_a_shard_that_is_cut_off_or_no_tar_at_all_is_an_error_and_not_an_empty_shard():
    data, _ = shard_of({"a.png": ["ant"], "b.png": ["bee"]})
    backwards = data[:124] + b"-0000001000\0" + data[136:]
    longer = data + bytes(10_240)
    for broken in (data[:700], data[:-512], b"", bytes(100), b"not a tar at all" * 100, backwards, longer):
        with pytest.raises(tarfile.TarError):
            FORMATS["webdataset"].sample_ids(io.BytesIO(broken))


@given(
    st.lists(st.tuples(st.integers(0, 20_479), st.integers(0, 255)), min_size=1, max_size=20), st.integers(0, 20_480)
)
def test_whatever_is_wrong_with_a_shard_is_one_kind_of_error(changes, kept):
    data, _ = shard_of({"a.png": ["ant"], "b.png": ["bee"]})
    broken = bytearray(data)
    for place, value in changes:
        broken[place % len(data) // BLOCK * BLOCK + place % 157] = (
            value  # in the first fields of a header, or of a content
        )
    for one in (bytes(broken), bytes(broken[:kept])):
        with contextlib.suppress(tarfile.TarError):
            sample_ids(io.BytesIO(one))


def test_webdatasets_own_reader_finds_every_sample(tmp_path):
    rows = {name: ["ant"] for name in ("a.b.jpg", "a.c.jpg", "a", ".jpg", "deep/er.png")}
    data, _ = shard_of(rows)
    (tmp_path / "train-000000.tar").write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened = webdataset.WebDataset(str(tmp_path / "train-000000.tar"), shardshuffle=False)
        samples = list(opened.decode("pil"))
        del opened
        gc.collect()  # the reader leaves its file to the collector
    assert [sample["__key__"] for sample in samples] == sorted(map(image_id, rows))
    assert {(sample["png"].size, sample["cls"], sample["json"]["width_px"]) for sample in samples} == {
        ((16, 12), 0, 64)
    }
