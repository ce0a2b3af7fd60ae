"""Precision and recall of what the quality report finds, by kind, on photos with planted defects, beside cleanvision.

    python -m benchmarks.quality_truth [--photos 700] [--each 4] [--folder DIR ...] [--seed 1] [--peer-python PATH]

Photos are drawn, or with --folder those of real data sets (each JPEG below DIR, in turn). Every defect is planted at
several strengths, --each times; photos that are left alone count as sound, which real ones need not be: what is "wrong"
there may be right. Both sides look at the same files, but cleanvision not at the torn ones, which end it. It runs from an
environment of its own, made by uv unless --peer-python names one, with its defaults; it knows nine of the kinds.
"""

import argparse
import hashlib
import io
import json
import random
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import polars as pl
from PIL import Image, ImageDraw

from benchmarks.photos import draw_photos
from benchmarks.planting import LABELS, Field, Planted, plant
from benchmarks.quality import make_peer
from cv_assets.domain.annotations.records import UprightSize
from cv_assets.domain.annotations.table import build_annotations
from cv_assets.domain.formats import sniff
from cv_assets.domain.manifest import build_manifest, build_quarantine
from cv_assets.domain.quality.judging import judge
from cv_assets.domain.quality.rulebook import RULES
from resources.engine import Engine, Item
from schemas.datasets import DatasetConfig
from schemas.images import Limits
from schemas.tables import to_frame

PEER_NAMES = {
    "dark": "dark", "light": "light", "blurry": "blurry", "low-information": "low_information", "odd-size": "odd_size",
    "odd-aspect-ratio": "odd_aspect_ratio", "grayscale-among-colour": "grayscale", "exact-duplicate": "exact_duplicates",
    "near-duplicate": "near_duplicates",
}  # fmt: skip
PEER_SCRIPT = """
import json, sys, warnings
warnings.simplefilter("ignore")
from cleanvision import Imagelab
lab = Imagelab(data_path=sys.argv[1])
lab.find_issues(n_jobs=2, verbose=False)
found = {name: [] for name in sys.argv[2:]}
for name in sys.argv[2:]:
    if name.endswith("duplicates"):
        found[name] = [list(map(str, one)) for one in lab.info[name]["sets"]]
    else:
        found[name] = [str(path) for path, is_one in lab.issues[f"is_{name}_issue"].items() if is_one]
print("FOUND " + json.dumps(found))
"""
COPIED = ("exact-duplicate", "near-duplicate")


@dataclass
class Found:
    """What a tool found: paths by code, and for copies the sets of paths that are alike."""

    paths: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    alike: dict[str, list[list[str]]] = field(default_factory=dict)


def drawn_photos(count: int, scratch: Path) -> list[Image.Image]:
    """Photos of benchmarks/photos.py with things in them, so that there are edges besides grain."""
    photos = []
    for number, path in enumerate(draw_photos(scratch, count)):
        generator = random.Random(number)
        photo = Image.open(path).convert("RGB")
        draw = ImageDraw.Draw(photo)
        for _ in range(12):
            x, y, side = generator.randrange(photo.width), generator.randrange(photo.height), generator.randint(15, 120)
            shape = draw.ellipse if generator.random() < 0.5 else draw.rectangle
            shape((x, y, x + side, y + side), fill=tuple(generator.randrange(256) for _ in range(3)))
        photos.append(photo)
    return photos


def real_photos(folder: Path, seed: int) -> list[Image.Image]:
    """Every distinct JPEG below a folder, shuffled."""
    data = {path.read_bytes() for path in folder.rglob("*.jpg")}
    ordered = sorted(data, key=lambda one: hashlib.sha256(one).digest())
    random.Random(seed).shuffle(ordered)
    return [Image.open(io.BytesIO(data)).convert("RGB") for data in ordered]


def find_ours(place: Field) -> Found:
    """Our probe in its workers, then all rules."""
    source = {"name": "planted", "source": {"url": "/nowhere"}, "classes": LABELS}
    config = DatasetConfig.model_validate({**source, "annotations": {"format": "coco", "include": ["coco.json"]}})
    files, probes = probe_files(place.folder)
    text = json.dumps(place.coco).encode()
    labels = {
        "path": "coco.json",
        "role": "annotation",
        "size_bytes": len(text),
        "sha256": hashlib.sha256(text).hexdigest(),
    }
    raw = to_frame("raw_images", [*files, labels])
    sound = probes.drop_nulls("width_px").select("image_id", "width_px", "height_px", "exif_orientation")
    sizes = {image_id: UprightSize(*size) for image_id, *size in sound.iter_rows()}
    annotations = build_annotations(config, raw, lambda _: text, sizes)
    manifest, quarantine = build_manifest(raw, probes, annotations), build_quarantine(raw, probes)
    tables = {"raw_images": raw, "annotations": annotations, "manifest": manifest, "quarantine": quarantine}
    judged = judge(tables, config, baseline=None, earlier=None)
    found = Found()
    for code, path in judged["findings"].drop_nulls("path").select("code", "path").iter_rows():
        found.paths[code].add(path)
    paths = dict(manifest.select("image_id", "paths").iter_rows())
    clusters = judged["near_duplicates"].group_by("cluster_id").agg("image_id")["image_id"].to_list()
    found.alike = {
        "exact-duplicate": [some for some in paths.values() if len(some) > 1],
        "near-duplicate": [[path for image_id in some for path in paths[image_id]] for some in clusters],
    }
    return found


def probe_files(folder: Path) -> tuple[list[dict[str, object]], pl.DataFrame]:
    """Rows of raw_images for every file below a folder, and their probes."""
    places = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    items = (Item(name, path) for name, path in places.items())
    files: list[dict[str, object]] = []
    probes: dict[str, dict[str, object]] = {}
    for item, answer in Engine().run("probe", {"limits": asdict(Limits())}, items):
        data, image_id = places[item.key].read_bytes(), answer["sha256"]
        files.append(
            {"path": item.key, "role": "image", "size_bytes": len(data), "sha256": image_id, "format": sniff(data)}
        )
        said = dict(answer.get("probe") or answer["rejected"])
        measures = said.pop("measures", {})
        probes[image_id] = {"image_id": image_id, **said, **measures}
    return files, to_frame("probes", list(probes.values()))


def find_peers(place: Field, python: str) -> Found:
    """cleanvision with its defaults, on the same folder; torn files are taken away, as one of them ends it."""
    for one in place.planted:
        if one.code == "truncated":
            (place.folder / one.path).unlink()
    command = [python, "-c", PEER_SCRIPT, str(place.folder), *PEER_NAMES.values()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("FOUND ")), None)
    if line is None:
        raise SystemExit(f"cleanvision ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    said = json.loads(line.removeprefix("FOUND "))

    def name_of(path: str) -> str:
        return Path(path).resolve().relative_to(place.folder.resolve()).as_posix()

    found = Found()
    for code, name in PEER_NAMES.items():
        if code in COPIED:
            found.alike[code] = [list(map(name_of, some)) for some in said[name]]
        else:
            found.paths[code] = set(map(name_of, said[name]))
    return found


@dataclass
class Score:
    """Of one kind: found and planted by strength, and how many findings nobody planted."""

    by_strength: dict[str, tuple[int, int]]
    wrong: int

    @property
    def hits(self) -> int:
        return sum(found for found, _ in self.by_strength.values())

    @property
    def recall(self) -> float:
        return self.hits / max(1, sum(planted for _, planted in self.by_strength.values()))

    @property
    def precision(self) -> float:
        return self.hits / max(1, self.hits + self.wrong)


def score(code: str, planted: Iterable[Planted], found: Found) -> Score:
    """How well one kind was found. What another defect rightly makes as well is neither right nor wrong."""
    every = list(planted)
    own = [one for one in every if one.code == code]
    excused = {one.path for one in every if code in one.also}
    if code in COPIED:
        hits, wrong = _score_copies(own, found.alike[code], excused)
    else:
        hits = {one.path for one in own} & found.paths[code]
        wrong = len(found.paths[code] - {one.path for one in own} - excused)
    by_strength: dict[str, tuple[int, int]] = {}
    for one in own:
        right, all_of_it = by_strength.get(one.strength, (0, 0))
        by_strength[one.strength] = (right + (one.path in hits), all_of_it + 1)
    return Score(by_strength, wrong)


def _score_copies(own: list[Planted], alike: list[list[str]], excused: set[str]) -> tuple[set[str], int]:
    """Copies that stand in one set with their twin; and how many further images stand in sets where they do not belong."""
    twins = {one.path: one.twin for one in own}
    hits: set[str] = set()
    wrong = 0
    for some in alike:
        together = {path for path in some if twins.get(path) in some}
        hits |= together
        wrong += len(set(some) - together - {twins[path] for path in together} - excused)
    return hits, wrong


def show(title: str, planted: list[Planted], ours: Found, peers: Found) -> None:
    """One line a kind."""
    figures = f"{'recall':>8} {'precision':>9} {'wrong':>5}"
    print(f"\n{title}\n{'':<31}  {'ours':<24}   cleanvision")
    print(f"{'kind':<23} planted  {figures}   {figures}   found by strength (ours)")
    for code in dict.fromkeys((*COPIED, *RULES)):
        mine = score(code, planted, ours)
        if not mine.by_strength:
            continue
        peer = _figures(score(code, planted, peers)) if code in PEER_NAMES else " " * len(figures)
        strengths = ", ".join(f"{name or 'all'} {got}/{of}" for name, (got, of) in mine.by_strength.items())
        count = sum(of for _, of in mine.by_strength.values())
        print(f"{code:<23} {count:>7}  {_figures(mine)}   {peer}   {strengths}")


def _figures(one: Score) -> str:
    return f"{one.recall:>8.0%} {one.precision:>9.0%} {one.wrong:>5}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=700, help="drawn photos; about 250 of them are spoilt")
    parser.add_argument("--each", type=int, default=4, help="how often each defect is planted at each strength")
    parser.add_argument("--folder", type=Path, nargs="*", default=[], help="real photos instead: every JPEG below")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peer-python", help="a Python that has cleanvision; without it one is made for this run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        python = options.peer_python or make_peer(scratch)
        sources = {str(folder): folder for folder in options.folder} or {"drawn photos": None}
        for number, (name, folder) in enumerate(sources.items()):
            drawn = Path(scratch) / "drawn"
            photos = real_photos(folder, options.seed) if folder else drawn_photos(options.photos, drawn)
            place = Field(Path(scratch) / f"field{number}")
            alone = plant(place, photos, each=options.each, seed=options.seed)
            title = f"{name}: {len(photos)} photos, {len(place.planted)} planted defects, {alone} left alone"
            show(title, place.planted, find_ours(place), find_peers(place, python))


if __name__ == "__main__":
    main()
