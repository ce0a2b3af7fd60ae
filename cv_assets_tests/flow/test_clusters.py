"""Clusters of images that look alike keep their names from release to release, whatever drift is measured against."""

import hashlib
from itertools import count

from PIL.PngImagePlugin import PngInfo

from cv_assets_tests.conftest import Place, write_files
from cv_assets_tests.domain.images import encode, noise

OTHERS = [(f"circle/{seed}.png", encode(noise((64, 64), seed), "PNG")) for seed in range(1, 9)]


def same_picture(comment: int) -> bytes:
    """One picture for all comments, and other bytes for each."""
    said = PngInfo()
    said.add_text("Comment", str(comment))
    return encode(noise((64, 64), 99), "PNG", pnginfo=said)


def clusters(place: Place, version: str) -> set[str]:
    return set(place.version(place.config(), version).load_table("near_duplicates")["cluster_id"])


def test_a_cluster_keeps_its_name_when_an_image_comes_that_would_lead_it(place):
    config = place.config(quality={"drift": {"baseline": "v1"}})  # has no say: that release knows no cluster
    pair = [same_picture(number) for number in range(2)]
    leader = min(hashlib.sha256(data).hexdigest() for data in pair)
    first = next(data for n in count(2) if hashlib.sha256(data := same_picture(n)).hexdigest() < leader)
    releases = {
        "v1": OTHERS,
        "v2": [(f"circle/pair{n}.png", data) for n, data in enumerate(pair)],
        "v3": [("circle/first.png", first)],
    }
    for version, files in releases.items():
        write_files(place.uploads, files)
        outcome = place.run(config, version=version)
        assert outcome.success, outcome.failures
    assert clusters(place, "v1") == set()
    assert clusters(place, "v2") == clusters(place, "v3") == {leader}
