"""Probe results are kept: an image is decoded once, and what the machine was at fault for is tried again."""

from dataclasses import asdict, fields

import polars as pl
import pytest
from PIL import Image

from cv_assets.domain.probing import probe as probe_bytes
from cv_assets_tests.domain.images import encode, picture
from cv_assets_tests.domain.tables import config, image_id
from resources.content_store import ContentStore, blob_key
from resources.engine import Engine
from resources.object_store import open_store
from resources.probes import ProbeStore
from schemas.errors import StoreError
from schemas.images import Limits, Measures, Rejection
from schemas.tables import TABLES, to_frame

CONFIG = config()


class CountingEngine(Engine):
    """The engine, which writes down what it was asked to decode."""

    def __init__(self, **settings):
        super().__init__(workers=1, **settings)
        self.asked = []

    def run(self, do, arguments, items):
        def counted():
            for item in items:
                self.asked.append(item.key)
                yield item

        yield from super().run(do, arguments, counted())


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def images(store):
    """Ids of two sound images and a broken one."""
    content = ContentStore(store)
    sound = [encode(picture((40 + n, 30)), "PNG") for n in range(2)]
    return [content.add(data) for data in (*sound, sound[0][:-60])]


def probe(store, ids, engine=None, dataset=CONFIG):
    engine = engine or CountingEngine()
    probes = ProbeStore(store, dataset)
    fresh = to_frame("probes", list(probes.probe(map(ContentStore(store).item, sorted(set(ids))), engine)))
    every = pl.concat([probes.known().filter(~pl.col("image_id").is_in(fresh["image_id"].implode())), fresh])
    frame = every.filter(pl.col("image_id").is_in(ids)).sort("image_id")
    return TABLES["probes"].validate(frame, lazy=True), engine.asked


def test_an_image_is_decoded_once_accepted_or_not(store, images):
    first, asked = probe(store, images)
    assert asked == sorted(images)
    assert first["image_id"].to_list() == sorted(images)
    assert sorted(first["reason"].fill_null("").to_list()) == ["", "", "undecodable"]
    again, asked = probe(store, images)
    assert asked == []
    assert again.equals(first)


def test_only_new_images_are_decoded_and_only_the_wanted_ones_are_told(store, images):
    probe(store, images[:2])
    frame, asked = probe(store, [images[2], images[0], images[2]])
    assert asked == [images[2]]
    assert frame["image_id"].to_list() == sorted([images[0], images[2]])


def test_measures_of_an_accepted_image_are_columns_and_a_rejected_one_has_none(store, images):
    frame, _ = probe(store, images)
    measures = frame.select("image_id", *(field.name for field in fields(Measures)))
    for key, *found in measures.iter_rows():
        said = probe_bytes(store.get(blob_key(key)), Limits())
        assert found == ([None] * 9 if isinstance(said, Rejection) else list(asdict(said.measures).values()))
    assert measures.null_count()["sharpness"].item() == 1


def test_no_images_are_no_rows(store):
    frame, asked = probe(store, [])
    assert (frame.height, asked) == (0, [])


def test_other_limits_are_another_question(store, images):
    probe(store, images)
    frame, asked = probe(store, images, dataset=config(limits={"min_side_px": 35}))
    assert len(asked) == 3
    assert frame["reason"].to_list().count("side-under-limit") >= 2


def test_another_dataset_knows_nothing_of_it(store, images):
    probe(store, images)
    assert len(probe(store, images, dataset=config(name="circles"))[1]) == 3


PASSING = [
    # settings under which an image fails through no fault of its own, the image, and the reason
    ({"seconds": 0.05}, Image.new("RGB", (7_500, 7_500)), "time-over-limit"),
    ({"memory_bytes": 300_000_000}, Image.new("RGB", (7_500, 7_500)), "memory-over-limit"),
]


@pytest.mark.parametrize(("settings", "image", "reason"), PASSING)
def test_what_the_machine_was_at_fault_for_is_tried_again(store, settings, image, reason):
    image_id = ContentStore(store).add(encode(image, "PNG", compress_level=1))
    failed, _ = probe(store, [image_id], CountingEngine(**settings))
    assert failed["reason"].to_list() == [reason]
    tried, asked = probe(store, [image_id])
    assert asked == [image_id]
    assert tried["reason"].to_list() == [None]


def test_a_damaged_record_of_probes_is_made_again(store, images):
    first, _ = probe(store, images)
    (key,) = store.keys("datasets")
    data = bytearray(store.get(key))
    data[len(data) // 3] ^= 1
    store.put(key, bytes(data))
    again, asked = probe(store, images)
    assert asked == sorted(images)
    assert again.equals(first)


def test_a_blob_that_is_gone_is_an_error_of_the_store_and_not_a_bad_image(store, images, tmp_path):
    (tmp_path / "store" / blob_key(images[0])).unlink()
    with pytest.raises(StoreError, match=images[0]):
        probe(store, images)


def test_a_blob_that_changed_is_an_error_of_the_store_and_not_a_verdict_on_the_image(store, images):
    data = bytearray(store.get(blob_key(images[0])))
    data[200] ^= 1
    store.put(blob_key(images[0]), bytes(data))
    with pytest.raises(StoreError, match=images[0]):
        probe(store, images)


def test_an_id_without_a_blob_elsewhere_is_an_error():
    with pytest.raises(StoreError):
        probe(open_store("memory://nowhere"), [image_id("nowhere")])
