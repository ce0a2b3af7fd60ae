"""Attacks by upload: formats that are two at once, pickles, markup, and thousands of damaged images."""

import ast
import base64
import importlib
import io
import json
import pickle
import random
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml

from cv_assets.domain.packing.plan import Sample
from cv_assets.domain.packing.webdataset import pack, sample_ids
from cv_assets.domain.probing import probe
from cv_assets_tests.domain.images import animation, encode, noise, oriented, picture
from resources.content_store import ContentStore
from resources.engine import Engine, Item
from resources.object_store import open_store
from resources.settings import PROJECT_ROOT
from resources.versions import VersionStore
from schemas.codes import PROBE_REASONS
from schemas.errors import CorruptObject
from schemas.images import Limits, Probe
from schemas.tables import to_frame

PRODUCT = [path for room in ("cv_assets", "resources", "schemas") for path in (PROJECT_ROOT / room).rglob("*.py")]
MUTANTS = 4_000
# damaged images that once broke the law of the manifest, by their number
FOUND_BEFORE = (29_603, 63_227)


def nodes(kind):
    """(file, node) of every syntax node of a kind in the product."""
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, kind):
                yield path.relative_to(PROJECT_ROOT), node


def spelt(node):
    """A called name as it is written: `tarfile.open`, `self._store.get`."""
    return ast.unparse(node.func)


# ── what the code may not do ──

DANGEROUS_MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "torch",
    "code",
}


def test_the_product_imports_nothing_that_runs_what_it_reads():
    found = set()
    for path, node in nodes(ast.Import | ast.ImportFrom):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        found |= {(str(path), module) for module in modules if module.split(".")[0] in DANGEROUS_MODULES}
    assert found == set()


DANGEROUS_CALLS = re.compile(
    r"^(eval|exec|compile|__import__|os\.system|os\.popen|os\.exec.*|os\.spawn.*)$"
    r"|\.(extractall|unsafe_load|full_load|load_all|allow_pickle)$|(?<!\.str)\.extract$"  # polars' .str.extract is of text
    r"|^(np|numpy)\.load$|^shutil\.unpack_archive$|^tempfile\.mktemp$|^xml\."
)


def test_the_product_calls_nothing_that_runs_or_unpacks_what_it_reads():
    assert [(str(path), spelt(node)) for path, node in nodes(ast.Call) if DANGEROUS_CALLS.search(spelt(node))] == []


def test_yaml_is_read_only_with_safe_loaders_and_programs_are_started_without_a_shell():
    loaders = []
    for path, node in nodes(ast.Call):
        assert "shell" not in {keyword.arg for keyword in node.keywords}, path
        if spelt(node) == "yaml.load":
            loader = next((keyword.value for keyword in node.keywords if keyword.arg == "Loader"), node.args[-1])
            module = importlib.import_module(".".join(path.with_suffix("").parts))
            loaders.append(getattr(module, ast.unparse(loader)))
    assert len(loaders) == 2
    assert all(issubclass(loader, yaml.SafeLoader) for loader in loaders)


def test_only_our_own_pictures_are_markdown_and_only_our_own_pages_are_links():
    found = Counter()
    for path in PRODUCT:
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                calls = [spelt(node) for node in ast.walk(function) if isinstance(node, ast.Call)]
                marked = [call for call in calls if re.search(r"Metadata(Value)?\.(md|url|notebook|path)$", call)]
                marked += [call for call in calls if re.search(r"(Markdown|Url|Notebook)MetadataValue$", call)]
                found.update((path.name, function.name, call) for call in marked)
    assert found == {
        ("line.py", "picture", "dg.MetadataValue.md"): 1,
        ("line.py", "page_link", "dg.MetadataValue.path"): 1,
        ("line.py", "page_link", "dg.MetadataValue.url"): 1,
    }


# ── what is put into the store ──


class _Canary:
    """Something that leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


def test_a_pickle_in_the_place_of_a_table_is_damage_and_is_not_run(tmp_path):
    canary = tmp_path / "canary"
    data = pickle.dumps(_Canary(canary))
    store = open_store(str(tmp_path / "store"))
    version = VersionStore(store, "shapes", "v1")
    version.save_table("splits", to_frame("splits", []))
    store.put(version.find_table_key("splits"), data)
    with pytest.raises(CorruptObject):
        version.load_table("splits")
    store.put(version.commit_key, data)
    with pytest.raises(CorruptObject):
        VersionStore(store, "shapes", "v1").commit()
    assert not canary.exists()
    pickle.loads(data)
    assert canary.exists()  # it would have been noticed


AUDITED = """
import json, sys
seen = set()
WATCHED = ("pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect", "os.fork")

def hook(event, arguments):
    if event.startswith(WATCHED):
        seen.add(event)
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        seen.add(f"open {arguments[0]}")

from cv_assets.domain.probing import probe
from cv_assets.domain.rendering import thumbnail
from schemas.images import Limits
import base64
files = [base64.b64decode(line) for line in json.load(sys.stdin)]
sys.addaudithook(hook)
for data in files:
    probe(data, Limits())
    try:
        thumbnail(data, Limits(), 64)
    except Exception:
        pass
print(json.dumps(sorted(seen)))
"""


def test_no_format_starts_a_program_opens_a_socket_or_writes_a_file():
    renamed = [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(/tmp/x) (w) file\n",
        b"\xc5\xd0\xd3\xc6" + bytes(40),
        encode(picture(), "EPS"),
        encode(picture(), "PDF"),
        b"8BPS\0\1" + bytes(60),
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='http://127.0.0.1:9/x'/></svg>",
        b"push graphic-context\nviewbox 0 0 640 480\nfill 'url(https://127.0.0.1/x.jpg\"|ls \"-la)'\n",
    ]
    sound = [encode(picture(), name) for name in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")]
    sent = json.dumps([base64.b64encode(data).decode() for data in (*renamed, *sound)])
    done = subprocess.run(
        [sys.executable, "-c", AUDITED], input=sent, capture_output=True, text=True, check=True, cwd=PROJECT_ROOT
    )
    assert json.loads(done.stdout) == []


# ── files that are two things at once ──


def archive():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        opened.writestr("../../evil.py", "print()")
    return out.getvalue()


POLYGLOTS = [
    # bytes, the format that they are named by
    (encode(picture(), "JPEG") + archive(), "jpeg", "jpg"),
    (encode(picture(), "JPEG", comment=b"<script>alert(1)</script>"), "jpeg", "jpg"),
    (encode(picture(), "PNG") + b"<?php system($_GET[0]); ?>", "png", "png"),
    (encode(picture(), "GIF") + b"/*\n*/=1;alert(1)", "gif", "gif"),
    (encode(picture(), "BMP") + archive(), "bmp", "bmp"),
]


@pytest.mark.parametrize(("data", "name", "extension"), POLYGLOTS)
def test_a_file_that_is_two_things_is_kept_byte_for_byte_and_named_by_what_was_decoded(tmp_path, data, name, extension):
    found = probe(data, Limits())
    assert isinstance(found, Probe)
    assert found.format == name
    content = ContentStore(open_store(str(tmp_path)))
    image_id = content.add(data)
    sample = Sample(image_id, extension, len(data), False, b"{}", None)
    shard = b"".join(pack([sample], lambda one: content.read(one.image_id)))
    assert sample_ids(io.BytesIO(shard)) == [image_id]
    assert data in shard
    assert not list(tmp_path.rglob("evil*"))


# ── damaged images by the thousand ──

SEEDS = [
    encode(noise((48, 40), 1), "JPEG"),
    oriented(picture((64, 48)), 6, "JPEG"),
    encode(picture((64, 48)), "PNG"),
    encode(noise((40, 40), 2).quantize(32), "PNG"),
    animation(3, "PNG"),
    animation(3, "GIF"),
    encode(picture((64, 48)), "TIFF", compression="tiff_lzw"),
    encode(picture((64, 48)), "TIFF"),
    encode(picture((64, 48)), "WEBP"),
    animation(3, "WEBP"),
    encode(picture((64, 48), mode="RGBA"), "BMP"),
    encode(picture((64, 48), mode="P"), "BMP"),
]
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def flip(data, generator):
    for _ in range(generator.choice((1, 1, 4, 32))):
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)


def flip_header(data, generator):
    for _ in range(generator.choice((1, 2, 6))):
        data[generator.randrange(min(96, len(data)))] = generator.randrange(256)


def write_edge(data, generator):
    size = generator.choice((1, 2, 4))
    value = generator.choice(EDGES) & (256**size - 1)
    at = generator.randrange(len(data) - 4)
    data[at : at + size] = value.to_bytes(size, generator.choice(("big", "little")))


def cut(data, generator):
    del data[generator.randrange(1, len(data)) :]


def remove(data, generator):
    at = generator.randrange(len(data))
    del data[at : at + generator.randrange(1, 200)]


def repeat(data, generator):
    at = generator.randrange(len(data))
    part = data[at : at + generator.randrange(1, 200)]
    data[at:at] = part * generator.choice((1, 2, 50))


def blank(data, generator):
    at = generator.randrange(len(data))
    data[at : at + 64] = bytes([generator.choice((0, 255))]) * len(data[at : at + 64])


def splice(data, generator):
    other = generator.choice(SEEDS)
    data[generator.randrange(len(data)) :] = other[generator.randrange(len(other)) :]


MUTATORS = (flip, flip, flip_header, write_edge, cut, remove, repeat, blank, splice)


def mutant(number):
    """The same damaged image for the same number, on every machine."""
    generator = random.Random(number)
    data = bytearray(generator.choice(SEEDS))
    for _ in range(generator.choice((1, 1, 2))):
        generator.choice(MUTATORS)(data, generator)
        if len(data) < 8:
            data += bytes(8)
    return bytes(data)


def test_damaged_images_are_accepted_or_refused_and_none_ends_a_worker():
    items = (Item(str(number), lambda number=number: mutant(number)) for number in range(MUTANTS))
    answers = list(Engine(workers=2, seconds=10).run("probe", {"limits": {"max_pixels": 4_000_000}}, items))
    assert [item.key for item, _ in answers] == list(map(str, range(MUTANTS)))
    outcomes = Counter(answer["rejected"]["reason"] if "rejected" in answer else "accepted" for _, answer in answers)
    assert set(outcomes) <= {"accepted", *PROBE_REASONS}
    assert outcomes.total() == MUTANTS
    assert outcomes["accepted"] > MUTANTS / 20
    assert outcomes["undecodable"] > MUTANTS / 4
    died = [item.key for item, answer in answers if answer.get("rejected", {}).get("reason") == "decoder-died"]
    assert died == []
    assert all(answer["rejected"]["detail"].isprintable() for _, answer in answers if "rejected" in answer)


@pytest.mark.parametrize("numbers", [range(MUTANTS, MUTANTS + 1_000), FOUND_BEFORE], ids=["new", "found before"])
def test_what_is_said_of_a_damaged_image_keeps_to_the_manifests_law(numbers):
    # one row that breaks it stops the whole version
    broken = {}
    for number in numbers:
        found = probe(mutant(number), Limits(max_pixels=4_000_000))
        if isinstance(found, Probe):
            said = (
                found.channels,
                found.bit_depth,
                found.exif_orientation,
                found.frames,
                found.width_px,
                found.height_px,
            )
            allowed = (range(1, 5), range(1, 65), range(1, 9), *[range(1, 10**9)] * 3)
            if not all(value in values for value, values in zip(said, allowed, strict=True)):
                broken[number] = found
    assert broken == {}
