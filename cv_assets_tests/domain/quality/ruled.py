"""Tables for tests of rules: ordinary images of which some are told to be otherwise, and what the rules find in them."""

import json

import polars as pl

from cv_assets.domain.quality.findings import build_findings
from cv_assets_tests.domain.tables import config, image_id, label_row, manifest
from schemas.tables import TABLES, polars_schema, to_frame

CORNERS = ("x_min_px", "y_min_px", "x_max_px", "y_max_px")


def images(said, *, ordinary=20):
    """A manifest of `ordinary` plain images, and of those that `said` names, with the columns that it gives."""
    plain = manifest({f"plain/{number}.png": ["plain"] for number in range(ordinary)})
    told = manifest({name: (other.get("labels", []), other.get("groups", [])) for name, other in said.items()})
    rows = [{**row, **said[row["paths"][0]]} for row in told.to_dicts()]
    return TABLES["manifest"].validate(pl.concat([plain, to_frame("manifest", rows)]).sort("image_id"), lazy=True)


def labels(*rows):
    """A table of annotations."""
    return TABLES["annotations"].validate(to_frame("annotations", list(rows)), lazy=True)


def boxed(*boxes, path="a.png", label="cat"):
    """A table of annotations: boxes of one label in one image, numbered from 0."""
    return labels(*(label_row(path, label, place=place, box=box) for place, box in enumerate(boxes)))


def findings(code=None, *, settings=None, **tables):
    """What is found (of one code) in the given tables; the others are empty."""
    empty = {name: pl.DataFrame(schema=polars_schema(name)) for name in TABLES}
    frame = build_findings({**empty, **tables}, config(**(settings or {})))
    frame = TABLES["findings"].validate(frame, lazy=True)
    return frame if code is None else frame.filter(pl.col("code") == code)


def named(frame):
    """Path, score and evidence of each finding."""
    return [(path, score, json.loads(text)) for path, score, text in frame.select("path", "score", "evidence").rows()]


def ids(*names):
    """The image ids of what a test calls by name, sorted."""
    return sorted(map(image_id, names))
