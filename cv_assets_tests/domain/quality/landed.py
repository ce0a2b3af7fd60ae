"""Folders of real files as tables: read, probed in workers and annotated, as the line does it before its quality report."""

import hashlib
from dataclasses import asdict
from pathlib import Path

from cv_assets.domain.annotations.records import UprightSize
from cv_assets.domain.annotations.table import build_annotations
from cv_assets.domain.formats import sniff
from cv_assets.domain.manifest import build_manifest, build_quarantine
from resources.engine import Engine, Item
from schemas.images import Limits
from schemas.tables import TABLES, to_frame


def land(root: Path, config, images: list[str], labels: list[str] = ()):
    """raw_images, annotations, manifest and quarantine of the files below `root` that the patterns name."""
    files, content = [], {}
    for role, patterns in (("image", images), ("annotation", labels)):
        for path in sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_file()}):
            data = path.read_bytes()
            kind = sniff(data)
            if role == "annotation" or kind:
                sha256 = hashlib.sha256(data).hexdigest()
                content[sha256] = path
                row = {
                    "path": path.relative_to(root).as_posix(),
                    "role": role,
                    "size_bytes": len(data),
                    "sha256": sha256,
                }
                files.append({**row, "format": kind if role == "image" else None})
    raw = to_frame("raw_images", files)
    probes = to_frame("probes", [*_probe({row["sha256"] for row in files if row["role"] == "image"}, content)])
    sound = probes.drop_nulls("width_px").select("image_id", "width_px", "height_px", "exif_orientation")
    sizes = {image_id: UprightSize(*size) for image_id, *size in sound.iter_rows()}
    annotations = build_annotations(config, raw, lambda sha256: content[sha256].read_bytes(), sizes)
    manifest = TABLES["manifest"].validate(build_manifest(raw, probes, annotations), lazy=True)
    quarantine = build_quarantine(raw, probes)
    return {"raw_images": raw, "annotations": annotations, "manifest": manifest, "quarantine": quarantine}


def _probe(image_ids, content):
    items = (Item(image_id, content[image_id].absolute()) for image_id in sorted(image_ids))
    for item, answer in Engine().run("probe", {"limits": asdict(Limits())}, items):
        said = dict(answer.get("probe") or answer["rejected"])
        measures = said.pop("measures", {})
        yield {"image_id": item.key, **said, **measures}
