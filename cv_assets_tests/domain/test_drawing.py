"""The drawn data set: equal seeds, equal bytes."""

import hashlib
from collections import Counter

from cv_assets.domain.drawing import CLASSES, draw_uploads
from cv_assets.domain.probing import probe
from schemas.images import Limits, Rejection


def test_equal_seeds_draw_equal_bytes_and_others_do_not():
    first = list(draw_uploads(7))
    assert first == list(draw_uploads(7))
    assert dict(first) != dict(draw_uploads(8))


def test_the_files_are_what_the_docstring_promises():
    files = dict(draw_uploads(7))
    assert len(files) == 125
    assert Counter(path.split("/")[0] for path in files) == {"circle": 41, "square": 43, "triangle": 41}
    assert {path.split("/")[0] for path in files} == set(CLASSES)
    refused = {path for path, data in files.items() if isinstance(probe(data, Limits()), Rejection)}
    assert refused == {"circle/camera02_cut_off.jpg", "square/notes.txt"}
    assert files["square/camera03_again.jpg"] == files["square/camera03_once.jpg"]
    assert len({hashlib.sha256(data).digest() for data in files.values()}) == 124
    turned = probe(files["triangle/camera01_turned.jpg"], Limits())
    assert (turned.exif_orientation, turned.width_px, turned.height_px) == (6, 112, 96)
