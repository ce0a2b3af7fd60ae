"""Annotation files written to do harm: each is refused as a row, fast, without a file or socket being opened."""

import json
import os
import sys
from pathlib import Path

import pytest

from cv_assets_tests.bounds import in_cpu_s
from cv_assets_tests.domain.annotations.landing import Landing, column, voc, voc_object

SOUND = voc_object("cat", 1, 2, 3, 4)


def entities(text):
    return f"<!DOCTYPE annotation [{text}]><annotation><filename>&e;</filename>{SOUND}</annotation>"


def laughs():
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return entities(f'<!ENTITY l0 "lol">{levels}<!ENTITY e "&l9;">')


XML = {
    "billion laughs": laughs(),
    "quadratic growth": entities(f'<!ENTITY e "{"x" * 100_000}">').replace("&e;", "&e;" * 1_000),
    "a file": entities('<!ENTITY e SYSTEM "file:///etc/passwd">'),
    "a page": entities('<!ENTITY e SYSTEM "http://127.0.0.1:9/x">'),
    "a parameter entity": entities('<!ENTITY % p SYSTEM "http://127.0.0.1:9/x"> %p;'),
    "a DTD elsewhere": '<!DOCTYPE annotation SYSTEM "http://127.0.0.1:9/x.dtd"><annotation/>',
    "a DTD without entities": "<!DOCTYPE annotation><annotation/>",
    "200,000 levels without end": "<a>" * 200_000,
    "4 MB of a name": "<" + "a" * 4_000_000,
}


@pytest.mark.parametrize("text", XML.values(), ids=XML)
def test_an_xml_bomb_is_one_row_and_takes_no_time(text, forbid_opening):
    with forbid_opening:
        frame = in_cpu_s(1, lambda: Landing([], {"a.xml": text}).annotations(format="voc"))
    assert column(frame, "annotation_id", "reason") == [("a.xml#0", "unparsable")]


def test_a_file_of_200_000_levels_is_read_without_harm():
    text = f"<annotation>{'<a>' * 200_000}{'</a>' * 200_000}{SOUND}</annotation>"
    assert column(Landing(["a.jpg"], {"a.xml": text}).annotations(format="voc"), "label") == ["cat"]


def coco(bbox="[1, 2, 3, 4]", more="", name='"cat"', file_name='"a.jpg"'):
    return (
        f'{{"images": [{{"id": 1, "file_name": {file_name}}}], "categories": [{{"id": 1, "name": {name}}}],'
        f' "annotations": [{{"image_id": 1, "category_id": 1, "bbox": {bbox}{more}}}]}}'
    )


JSON = {
    "200,000 lists": "[" * 200_000,
    "200,000 lists that end": "[" * 200_000 + "]" * 200_000,
    "200,000 objects": '{"a":' * 200_000,
    "200,000 lists in an attribute": coco(more=f', "x": {"[" * 200_000}{"]" * 200_000}'),
    "an integer of 5,000 digits": coco(bbox=f"[{'9' * 5_000}, 2, 3, 4]"),
    "two values under one key": coco(more=', "bbox": [5, 6, 7, 8]'),
    "nothing": "",
    "half of it": coco()[:-20],
    "two documents": coco() + coco(),
    "UTF-16": coco().encode("utf-16"),
    "broken UTF-8": coco().encode() + b"\xff",
}


@pytest.mark.parametrize("text", JSON.values(), ids=JSON)
def test_a_json_bomb_is_one_row_and_takes_no_time(text):
    frame = in_cpu_s(1, lambda: Landing([], {"a.json": text}).annotations(format="coco"))
    assert column(frame, "annotation_id", "reason") == [("a.json#0", "unparsable")]


@pytest.mark.parametrize(
    "bbox", ["[NaN, 2, 3, 4]", "[1, -Infinity, 3, 4]", "[1, 2, 1e999, 4]", f"[{'9' * 4_000}, 2, 3, 4]"]
)
def test_a_number_that_is_none_spoils_its_box_only(bbox):
    frame = Landing(["a.jpg"], {"a.json": coco(bbox)}).annotations(format="coco")
    assert column(frame, "label", "x_min_px", "reason") == [("cat", None, "invalid-box")]


@pytest.mark.parametrize("depth", range(300, sys.getrecursionlimit() + 50, 50))
def test_attributes_of_any_depth_are_kept_or_refused(depth):
    text = coco(more=f', "x": {"[" * depth}{"]" * depth}')
    frame = Landing(["a.jpg"], {"a.json": text}).annotations(format="coco")
    assert set(frame["reason"].drop_nulls()) <= {"unparsable", "no-label"}


def test_half_a_character_is_refused_as_class_and_spelled_out_elsewhere():
    lone = '"\\ud800"'
    refused = Landing(["a.jpg"], {"a.json": coco(name=lone)}).annotations(format="coco")
    assert column(refused, "label", "image_path", "reason") == [(None, "a.jpg", "unparsable")]
    spelled = Landing([], {"a.json": coco(file_name=lone, more=f', "x": {lone}')}).annotations(
        format="coco", group_by="x"
    )
    assert column(spelled, "named", "group", "reason") == [("\\ud800", "\\ud800", "no-file")]
    assert json.loads(spelled["attributes"][0]) == {"x": "\ud800"}


def test_half_a_character_in_yaml_is_refused_as_class():
    labels = {"a.txt": "0 0.5 0.5 0.2 0.4", "data.yaml": 'names: ["\\ud800"]'}
    frame = Landing(["a.jpg"], labels).annotations(format="yolo")
    assert column(frame, "label", "reason") == [(None, "unparsable")]


ZERO = {
    "csv": {"a.csv": "image,label\na.jpg,ca\0t\n"},
    "coco": {"a.json": coco(name='"ca\\u0000t"')},
    "yolo": {"a.txt": "0 0.5 0.5 0.2 0.4", "data.yaml": 'names: ["ca\\0t"]'},
}


@pytest.mark.parametrize("kind", ZERO)
def test_a_zero_in_a_class_is_data_in_every_format_that_can_write_one(kind):
    frame = Landing(["a.jpg"], ZERO[kind]).annotations(format=kind)
    assert column(frame, "label", "reason") == [("ca\0t", None)]


def alias_bomb():
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))
    return f"a0: &a0 [x]\n{levels}\nnames: *a8\n"


YAML = {
    "aliases that grow": alias_bomb(),
    "one alias": "x: &x [cat]\nnames: *x\n",
    "a merge": "x: &x {names: [cat]}\n<<: *x\n",
    "a Python object": "names: !!python/object/apply:os.system ['true']\n",
    "a Python name": "names: [!!python/name:os.system cat]\n",
    "a tag of its own": "names: !cat [a]\n",
    "deep": "names: " + "[" * 100_000,
    "two documents": "names: [cat]\n---\nnames: [dog]\n",
    "many nodes": f"names: [{','.join('a' * 200_000)}]",
    "over a megabyte": "names: [cat]\n#" + "x" * 1_000_000,
}


@pytest.mark.parametrize("text", YAML.values(), ids=YAML)
def test_a_yaml_bomb_is_one_row_and_takes_little_time(text):
    # PyYAML reads 50,000 nodes in 1.5 s, and no more are read.
    frame = in_cpu_s(5, lambda: Landing([], {"data.yaml": text}).annotations(format="yolo"))
    assert column(frame, "annotation_id", "reason") == [("data.yaml#0", "unparsable")]


TRICKS = [
    "../../etc/passwd",
    "../a.jpg",
    "x/../a.jpg",
    "/etc/passwd",
    r"..\..\a.jpg",
    r"C:\Windows\win.ini",
    "file:///etc/passwd",
    "%2e%2e/a.gif",
    "a.jpg\0.txt",
]


@pytest.mark.parametrize("named", TRICKS)
@pytest.mark.parametrize("kind", ["csv", "coco"])
def test_a_name_is_a_key_and_never_a_path_to_open(named, kind, forbid_opening):
    texts = {"csv": f"image,label\n{named},cat\n", "coco": coco(file_name=json.dumps(named))}
    with forbid_opening:
        frame = Landing(["images/b.jpg"], {"l": texts[kind]}).annotations(format=kind)
    row = frame.filter(frame["label"] == "cat").to_dicts()[0]
    assert (row["named"], row["image_path"], row["reason"]) == (named, None, "no-file")
    assert row["detail"].isprintable()


def test_details_are_one_printable_line_of_limited_length():
    name = "\x1b[31m\u202e\n" * 5_000
    frame = Landing([], {"a.csv": "image,label\n" + json.dumps(name) + ",cat\n", "b.xml": voc("")[:-5]})
    for kind in ("csv", "voc"):
        for detail in frame.annotations(format=kind)["detail"].drop_nulls():
            assert detail.isprintable()
            assert len(detail) <= 200


def test_the_guard_of_these_tests_sees_what_is_opened(forbid_opening):
    with pytest.raises(AssertionError, match="open "), forbid_opening:
        Path(os.devnull).read_bytes()
