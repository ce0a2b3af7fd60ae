"""Uploads and arguments as they come: each has a clear outcome, in words, with an exit code, and none stops the others."""

import io
import json
import math
import os
import struct
import tarfile
import unicodedata
import zipfile
from collections import Counter

import dagster as dg
import pytest

from cv_assets_tests.conftest import write_files
from cv_assets_tests.domain.images import encode, noise, oriented, picture, png
from cv_assets_tests.resources.places import command, said_in_lines, shared_place, write_dataset

SHOWN = {
    "dataset", "version", "digest", "files", "images", "quarantined", "annotations", "unlabelled_images",
    "labels_without_file", "duplicate_groups", "splits", "checks", "shards",
}  # fmt: skip

LABELS = [
    "<script>alert(1)<",
    "![](http:evil)",
    "[x](javascript:alert(1))",
    "a|b",
    "new\nline",
    "\x1b[31mred",
    "\u202egnal",
    "=cmd()",
    "-rf",
    "b..",
    "x" * 255,
    unicodedata.normalize("NFC", "größe"),
    unicodedata.normalize("NFD", "größe"),
    "Circle",
    "circle",
]


def archive():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        opened.writestr("../../evil.py", "print()")
    return out.getvalue()


def tape(*members):
    """A tar with these members, as it comes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as opened:
        for member in members:
            opened.addfile(member, io.BytesIO(bytes(member.size)))
    return out.getvalue()


def entry(name, **more):
    member = tarfile.TarInfo(name)
    for field, value in more.items():
        setattr(member, field, value)
    return member


def zip_bomb():
    """A megabyte of nothing a member, in a thousandth of the room."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:
        for number in range(50):
            opened.writestr(f"{number}.png", bytes(1_000_000))
    return out.getvalue()


POLYGLOT = encode(picture(), "JPEG") + archive()

# path of a file, its bytes, and the reason why it is rejected; None for an image that is accepted
FILES = [
    ("circle/sound.png", encode(noise((20, 20), 1), "PNG"), None),
    ("left/circle/a.png", encode(noise((20, 20), 2), "PNG"), None),  # the same class in two folders
    ("right/circle/a.png", encode(noise((20, 20), 3), "PNG"), None),
    ("circle/twin.png", encode(noise((20, 20), 4), "PNG"), None),  # twins by case
    ("circle/TWIN.png", encode(noise((20, 20), 5), "PNG"), None),
    ("circle/\u00f6.png", encode(noise((20, 20), 6), "PNG"), None),  # twins by composition
    ("circle/o\u0308.png", encode(noise((20, 20), 7), "PNG"), None),
    ("circle/same.png", encode(noise((20, 20), 1), "PNG"), None),  # the same bytes as circle/sound.png
    ("square/lonely.png", encode(noise((20, 20), 8), "PNG"), None),  # a class with one image
    ("circle/a.b.jpg", encode(noise((20, 20), 9), "JPEG"), None),  # one key to a reader that cuts at the first dot
    ("circle/a.c.jpg", encode(noise((20, 20), 10), "JPEG"), None),
    ("circle/ sp ace.png", encode(noise((20, 20), 11), "PNG"), None),
    ("circle/new\nline.png", encode(noise((20, 20), 12), "PNG"), None),
    ("circle/-rf.png", encode(noise((20, 20), 13), "PNG"), None),
    ("circle/\u202egpj.exe", encode(noise((20, 20), 14), "PNG"), None),
    ("circle/\x1b[31mred.png", encode(noise((20, 20), 15), "PNG"), None),
    ("circle/x.pkl", encode(noise((20, 20), 16), "PNG"), None),  # a name that a loader would unpickle
    ("circle/polyglot.jpg", POLYGLOT, None),  # a photo that is an archive, too
    ("circle/turned.jpg", oriented(noise((20, 30), 17), 6), None),
    ("top.png", encode(noise((20, 20), 18), "PNG"), None),  # in no folder: no label
    ("circle/empty.png", b"", "empty-file"),
    ("circle/bomb.png", png(50_000, 50_000), "pixels-over-limit"),
    ("circle/cut.jpg", encode(noise((90, 90)), "JPEG")[:2_000], "undecodable"),
    ("circle/page.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "format-not-allowed"),
    ("circle/shell.jpg", b"#!/bin/sh\nrm -rf /\n", "format-not-allowed"),
    ("circle/climbs.tar", tape(entry("../../climbed.png", size=9), entry("../up", size=9)), "format-not-allowed"),
    ("circle/links.tar", tape(entry("away", type=tarfile.SYMTYPE, linkname="/etc/passwd")), "format-not-allowed"),
    ("circle/swells.zip", zip_bomb(), "format-not-allowed"),
    ("circle/swells.png", zip_bomb(), "format-not-allowed"),  # under a name that is looked into
    ("circle/tiny.png", encode(noise((4, 4)), "PNG"), "side-under-limit"),
    ("circle/long.png", png(16, 16)[:33] + struct.pack(">I", 2**31) + b"IDAT", "undecodable"),
    *((f"{label}/{n}.png", encode(noise((20, 20), 100 + 2 * k + n), "PNG"), None) for k, label in enumerate(LABELS)
      for n in range(2)),
]  # fmt: skip
PATHS = {path: reason for path, _, reason in FILES} | {
    "circle/link.png": "symbolic-link",
    "circle/dangling.png": "symbolic-link",
    "circle/pipe.png": "not-a-regular-file",
    "circle/caf\\xe9.png [b5cec5af]": "name-not-text",
}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with shared_place(tmp_path_factory) as place:
        yield place


@pytest.fixture(scope="module")
def hostile(here):
    """Every hostile upload in one dataset, and what the command line said of its line."""
    uploads = here.uploads / "hostile"
    write_files(uploads, ((path, data) for path, data, _ in FILES))
    (here.folder / "secret.png").write_bytes(encode(noise((30, 30), 99), "PNG"))
    (uploads / "circle" / "link.png").symlink_to(here.folder / "secret.png")
    (uploads / "circle" / "dangling.png").symlink_to(here.folder / "gone.png")
    os.mkfifo(uploads / "circle" / "pipe.png")
    (uploads / os.fsdecode(b"circle/caf\xe9.png")).write_bytes(encode(noise((30, 30), 98), "PNG"))
    write_dataset(here, "hostile", url=uploads)
    return command("run", "hostile", "--json")


def tables(place, dataset, *names, version="v1"):
    store = place.version(place.config(dataset), version)
    return [store.load_table(name) for name in names]


def samples(place, shards):
    """Member name → bytes, of all shards."""
    found = {}
    for shard in shards:
        with tarfile.open(fileobj=io.BytesIO(place.store.get(shard["key"]))) as opened:
            found |= {member.name: opened.extractfile(member).read() for member in opened}
    return found


def test_hostile_uploads_stop_no_line(hostile):
    assert hostile.exit_code == 0, hostile.stderr
    assert json.loads(hostile.stdout)["success"] is True
    assert said_in_lines(hostile.stderr)


def test_every_upload_is_accepted_or_quarantined_with_its_reason(here, hostile):
    manifest, quarantine = tables(here, "hostile", "manifest", "quarantine")
    found = dict.fromkeys(manifest["paths"].explode().to_list())
    found |= dict(quarantine.select("path", "reason").iter_rows())
    assert found == PATHS


def test_what_a_link_leads_to_is_not_in_the_store(here, hostile):
    assert not any(encode(noise((30, 30), 99), "PNG") == data for data in here.objects("blobs/").values())


def test_show_has_the_keys_that_scripts_read_and_the_figures_add_up(here, hostile):
    done = command("show", "hostile", "--json")
    assert done.exit_code == 0
    shown = json.loads(done.stdout)
    assert set(shown) >= SHOWN
    accepted = sum(reason is None for reason in PATHS.values())
    assert (shown["dataset"], shown["version"], len(shown["digest"])) == ("hostile", "v1", 64)
    assert (shown["files"], shown["quarantined"]) == (len(PATHS), len(PATHS) - accepted)
    assert (shown["images"], shown["duplicate_groups"]) == (accepted - 1, 1)
    assert (shown["unlabelled_images"], shown["labels_without_file"]) == (1, 0)
    assert sum(shown["splits"].values()) == shown["images"] - shown["unlabelled_images"]
    assert list(shown["splits"]) == ["train", "val", "test"]
    assert {"name", "asset", "passed", "severity"} == set(shown["checks"][0])
    assert [check["name"] for check in shown["checks"] if not check["passed"] and check["severity"] == "ERROR"] == []
    assert sum(shard["samples"] for shard in shown["shards"]) == sum(shown["splits"].values())
    run = json.loads(hostile.stdout)
    assert {key: run[key] for key in shown} == shown


def test_show_for_people_is_plain_text(hostile):
    done = command("show", "hostile@v1")
    assert done.exit_code == 0
    assert said_in_lines(done.stdout)
    assert "hostile@v1  committed, digest " in done.stdout


def test_labels_are_kept_as_they_were_written(here, hostile):
    (manifest,) = tables(here, "hostile", "manifest")
    images = Counter(manifest["labels"].explode().drop_nulls().to_list())
    wanted = {}
    for path, data, reason in FILES:
        if reason is None and "/" in path:
            wanted.setdefault(path.split("/")[-2], set()).add(data)
    assert images == {label: len(distinct) for label, distinct in wanted.items()}
    assert images["circle"] > images["Circle"] == images["new\nline"] == 2


def test_twins_by_case_or_by_composition_are_told_as_findings(here, hostile):
    (found,) = tables(here, "hostile", "findings")
    told = found.filter(code="names-collide")
    pairs = zip(told["path"], told["evidence"].str.json_path_match("$.other_path"), strict=True)
    assert set(pairs) >= {
        ("circle/twin.png", "circle/TWIN.png"),
        ("circle/\u00f6.png", "circle/o\u0308.png"),
        ("circle", "Circle"),
    }


def test_a_class_with_one_image_is_in_train(here, hostile):
    manifest, splits = tables(here, "hostile", "manifest", "splits")
    rows = manifest.join(splits, on="image_id").explode("labels").filter(labels="square")
    assert rows["split"].to_list() == ["train"]


def test_what_is_packed_is_named_by_content_and_is_the_upload_byte_for_byte(here, hostile):
    shown = json.loads(command("show", "hostile", "--json").stdout)
    found = samples(here, shown["shards"])
    manifest, splits = tables(here, "hostile", "manifest", "splits")
    dealt = manifest.join(splits.drop_nulls("split"), on="image_id")
    names = {f"{row['image_id']}.{'jpg' if row['format'] == 'jpeg' else 'png'}": row for row in dealt.to_dicts()}
    assert set(found) == {f"{row['image_id']}.{part}" for row in names.values() for part in ("json", "cls")} | set(
        names
    )
    by_path = {path: data for path, data, _ in FILES}
    changed = [row["paths"] for name, row in names.items() if found[name] != by_path[row["paths"][0]]]
    assert changed == [["circle/turned.jpg"]]


def test_the_terminal_and_the_ui_hold_no_markup_of_an_upload(here, hostile):
    with dg.DagsterInstance.get() as instance:
        run_id = json.loads(hostile.stdout)["run_id"]
        events = [record.event_log_entry for record in instance.get_records_for_run(run_id).records]
    metadata = [
        entry
        for event in events
        if event.dagster_event and event.dagster_event.is_step_materialization
        for entry in event.dagster_event.step_materialization_data.materialization.metadata.items()
    ]
    assert len(metadata) > 20
    marked_up = {name: value.value for name, value in metadata if isinstance(value, dg.MarkdownMetadataValue)}
    assert set(marked_up) == {"contact_sheet", "classes", "duplicates", "findings", "history", "sizes"}
    assert all(text.startswith("![") and text.count("](data:image/jpeg;base64,") == 1 for text in marked_up.values())
    assert not any(isinstance(value, dg.UrlMetadataValue) for _, value in metadata)


CSV = """image,label,x_min,y_min,x_max,y_max
../../etc/passwd,ant,1,1,2,2
/etc/passwd,ant,1,1,2,2
C:\\Windows\\win.ini,ant,1,1,2,2
file:///etc/passwd,ant,1,1,2,2
%2e%2e/a.png,ant,1,1,2,2
a.png,ant,1,1,5,5
a.png,"new
line",1,1,5,5
a.png,<b>bold</b>,nan,1,5,5
a.png,ant,1,1,inf,5
a.png,ant,-1e308,1,1e308,5
b.png,{long},5,5,1,1
gone.png,ant,1,1,5,5
"""


def test_annotations_name_files_as_keys_and_whatever_is_wrong_is_a_row(here):
    uploads = here.uploads / "table"
    write_files(uploads, [("a.png", encode(noise((20, 20)), "PNG")), ("b.png", encode(noise((20, 20), 1), "PNG"))])
    (uploads / "labels.csv").write_text(CSV.replace("{long}", "x" * 100_000))
    columns = "columns: {x_min: x_min, y_min: y_min, x_max: x_max, y_max: y_max}"
    annotations = f"annotations: {{format: csv, include: [labels.csv], {columns}}}"
    write_dataset(here, "lookups", annotations, url=uploads)
    done = command("run", "lookups", "--json")
    assert done.exit_code == 0, done.stderr
    assert said_in_lines(done.stderr)
    assert "warning: annotations: labels_have_files" in done.stderr
    (found,) = tables(here, "lookups", "annotations")
    by_name = found.filter(found["reason"] == "no-file")["named"].to_list()
    assert {"../../etc/passwd", "/etc/passwd", "C:\\Windows\\win.ini", "file:///etc/passwd", "gone.png"} <= set(by_name)
    assert json.loads(done.stdout)["labels_without_file"] == len(by_name)
    assert set(found.drop_nulls("image_path")["image_path"]) <= {"a.png", "b.png"}
    corners = [value for row in found.select("^._m.._px$").drop_nulls().iter_rows() for value in row]
    assert all(map(math.isfinite, corners))


def test_a_yolo_label_file_of_no_bytes_says_the_same_as_one_of_an_empty_line(here):
    uploads = here.uploads / "background"
    write_files(uploads, ((f"images/{n}.png", encode(noise((20, 20), n), "PNG")) for n in range(3)))
    texts = {"0.txt": "0 0.5 0.5 0.2 0.2\n", "1.txt": "\n", "2.txt": "", "classes.txt": "ant\n"}
    write_files(uploads, ((f"labels/{name}", text.encode()) for name, text in texts.items()))
    write_dataset(here, "background", "annotations: {format: yolo, include: ['labels/*']}", url=uploads)
    done = command("run", "background", "--json")
    assert done.exit_code == 0, done.stderr
    assert "annotations_are_readable" not in done.stderr
    (found,) = tables(here, "background", "annotations")
    assert found.select("annotation_id", "image_path", "label", "reason").rows() == [
        ("labels/0.txt#1", "images/0.png", "ant", None),
        ("labels/1.txt#0", "images/1.png", None, "no-object"),
        ("labels/2.txt#0", "images/2.png", None, "no-object"),
    ]
    assert command("verify", "background@v1", "--read-data").exit_code == 0
    laid_out = here.folder / "background"
    assert command("checkout", "background@v1", str(laid_out)).exit_code == 0
    assert (laid_out / "labels" / "2.txt").read_bytes() == b""
    assert command("run", "background", "--json").exit_code == 0
    (again,) = tables(here, "background", "annotations", version="v2")
    assert again.equals(found)


def test_a_dataset_of_one_image_is_all_for_training(here):
    write_files(here.uploads / "one", [("ant/a.png", encode(picture(), "PNG"))])
    write_dataset(here, "one", url=here.uploads / "one")
    done = command("run", "one", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["splits"] == {"train": 1, "val": 0, "test": 0}
    assert "warning: splits: ratios_are_within_tolerance" in done.stderr


def test_files_that_no_pattern_names_are_left_out_and_told(here):
    names = ["ant/a.png", "ant/b.png", "ant/c.PNG", "ant/.d.png"]  # case counts, and a pattern must name the dot
    write_files(here.uploads / "named", [(name, encode(noise((20, 20), n), "PNG")) for n, name in enumerate(names)])
    source = f'name: named\nsource: {{url: "{here.uploads / "named"}", include: ["**/*.png"]}}\n'
    (here.folder / "datasets" / "named.yaml").write_text(source)
    done = command("run", "named", "--json")
    assert done.exit_code == 0, done.stderr
    assert "left out: 2 files that no pattern names, such as 'ant/.d.png', 'ant/c.PNG'" in done.stderr
    said = json.loads(done.stdout)
    assert (said["files"], said["files_that_no_pattern_names"]) == (2, 2)
    again = command("run", "named", "--version", "v1", "--json")  # its source is not looked at again
    assert json.loads(again.stdout)["files_that_no_pattern_names"] is None


def test_a_version_without_one_accepted_image_is_not_committed(here):
    write_files(here.uploads / "broken", [("ant/a.png", encode(picture(), "PNG")[:99]), ("ant/readme.txt", b"hello")])
    write_dataset(here, "broken", url=here.uploads / "broken")
    done = command("run", "broken", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["success"] is False
    assert here.version(here.config("broken"), "v1").commit() is None


UNLABELLED = {
    "in no class folder": "",
    "in no row of the table": "annotations: {format: csv, include: ['*.csv']}",
    "of a dataset that reads no labels": "annotations: {format: none}",
}


@pytest.mark.parametrize("annotations", UNLABELLED.values(), ids=UNLABELLED)
def test_a_broken_image_without_a_label_is_quarantined_and_stops_no_line(here, annotations):
    name = f"unlabelled_{list(UNLABELLED.values()).index(annotations)}"
    files = [(f"ant/{n}.png", encode(noise((20, 20), n), "PNG")) for n in range(4)]
    labels = "image,label\n" + "".join(f"{path},ant\n" for path, _ in files)
    broken = [("broken.png", encode(picture(), "PNG")[:99]), ("labels.csv", labels.encode())]
    write_files(here.uploads / name, [*files, *broken])
    write_dataset(here, name, annotations, url=here.uploads / name)
    done = command("run", name, "--json")
    assert done.exit_code == 0, done.stderr
    (quarantine,) = tables(here, name, "quarantine")
    assert ("broken.png", "undecodable") in quarantine.select("path", "reason").rows()
