"""The real data sets, read where they lie. Every number is from their READMEs or counted by hand in their files."""

import hashlib
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from cv_assets.domain.annotations.records import UprightSize
from cv_assets.domain.annotations.table import build_annotations
from cv_assets.domain.orientation import upright_size
from cv_assets.domain.probing import read_orientation
from cv_assets_tests.bounds import in_cpu_s
from cv_assets_tests.domain.annotations.landing import boxes, column
from schemas.datasets import DatasetConfig
from schemas.tables import TABLES, to_frame

pytestmark = pytest.mark.data


@dataclass
class Folder:
    """A folder as a source: files below `root` that one of `images` or `labels` names."""

    root: Path
    images: list[str]
    labels: list[str] = field(default_factory=list)
    bound_s: float = math.inf

    def annotations(self, *, group_by: object = None, **config: object) -> pl.DataFrame:
        if self.labels:
            config["include"] = self.labels
        dataset = {"name": "real", "source": {"url": str(self.root)}, "annotations": config, "group_by": group_by}
        data, rows, sizes = {}, [], {}
        for role, patterns in (("image", self.images), ("annotation", self.labels)):
            for path in sorted({path for pattern in patterns for path in self.root.glob(pattern) if path.is_file()}):
                content = path.read_bytes()
                sha256 = hashlib.sha256(content).hexdigest()
                data[sha256] = content
                rows.append(self._row(path, role, sha256, len(content)))
                if role == "image":
                    sizes[sha256] = size_of(path)
        model, files = DatasetConfig.model_validate(dataset), to_frame("raw_images", rows)
        frame = in_cpu_s(self.bound_s, lambda: build_annotations(model, files, data.__getitem__, sizes))
        return TABLES["annotations"].validate(frame, lazy=True)

    def _row(self, path: Path, role: str, sha256: str, size_bytes: int) -> dict[str, object]:
        name = path.relative_to(self.root).as_posix()
        return {"path": name, "role": role, "size_bytes": size_bytes, "sha256": sha256}


def size_of(path: Path) -> UprightSize:
    with Image.open(path) as image:
        orientation, _ = read_orientation(image)
        return UprightSize(*upright_size(*image.size, orientation), orientation)


def reasons(frame: pl.DataFrame) -> Counter:
    return Counter(frame["reason"])


def test_bccd_has_all_its_boxes(real_data):
    folder = Folder(real_data / "bccd/data", ["JPEGImages/*.jpg"], ["Annotations/*.xml"], bound_s=2)
    frame = folder.annotations(format="voc")
    assert reasons(frame) == {None: 4888}
    assert Counter(frame["label"]) == {"RBC": 4155, "WBC": 372, "Platelets": 361}
    assert frame["image_path"].n_unique() == frame["image_id"].n_unique() == 364
    flat = frame.filter((pl.col("x_min_px") >= pl.col("x_max_px")) | (pl.col("y_min_px") >= pl.col("y_max_px")))
    assert column(flat, "named") == ["BloodImage_00338.jpg", "BloodImage_00343.jpg"]
    assert boxes(flat) == [(504, 337, 504, 337), (181, 329, 181, 329)]
    assert sum(json.loads(text)["truncated"] == "1" for text in frame["attributes"]) == 1131


def test_clothing_has_its_rows_its_lost_files_and_its_unlabelled_files(real_data):
    folder = Folder(real_data / "clothing/data", ["images/*.jpg"], ["images.csv"])
    frame = folder.annotations(format="csv", group_by="sender_id")
    assert reasons(frame) == {None: 368, "no-file": 4, "no-label": 12}
    of_csv = frame.filter(pl.col("annotation_id").str.starts_with("images.csv#"))
    assert (of_csv.height, of_csv["group"].null_count(), of_csv["group"].n_unique()) == (372, 0, 51)
    assert frame.filter(pl.col("reason").is_null())["group"].n_unique() == 49
    lost = frame.filter(pl.col("reason") == "no-file")
    assert (set(lost["label"]), sorted(lost["group"], key=int)) == ({"Skip"}, ["26", "63", "336", "336"])
    unlabelled = frame.filter(pl.col("reason") == "no-label")
    assert unlabelled["group"].null_count() == 12
    assert Counter(json.loads(text)["kids"] for text in of_csv["attributes"]) == {"True": 32, "False": 340}


def test_omniglot_has_a_class_a_character_and_a_group_a_drawer(real_data):
    folder = Folder(real_data / "omniglot/data", ["**/*.png"])
    pattern = r"^(?P<group>[^/]+)/.*_(?P<group2>\d+)\.png$"
    frame = folder.annotations(format="folder", class_depth=2, group_by={"path_pattern": pattern})
    assert reasons(frame) == {None: 1720}
    assert set(Counter(frame["label"]).values()) == {20}
    assert (frame["label"].n_unique(), frame["group"].n_unique()) == (86, 60)


def test_grocery_has_its_seven_classes_at_any_depth(real_data):
    dataset = [f"dataset/{part}/**/*.jpg" for part in ("train", "val", "test", "iconic-images-and-descriptions")]
    frame = Folder(real_data / "grocery/data", [*dataset, "sample_images/**/*.jpg"]).annotations()
    assert reasons(frame) == {None: 496}
    own = frame.filter(pl.col("image_path").str.starts_with("dataset/"))
    assert Counter(own["label"]) == {
        # train + val + test + iconic
        "Alpro-Fresh-Soy-Milk": 30 + 0 + 28 + 1,
        "Beef-Tomato": 34 + 3 + 10 + 1,
        "Brown-Cap-Mushroom": 39 + 5 + 39 + 1,
        "Floury-Potato": 18 + 5 + 16 + 1,
        "Granny-Smith": 59 + 6 + 58 + 1,
        "Green-Bell-Pepper": 26 + 0 + 25 + 1,
        "Yellow-Onion": 38 + 5 + 37 + 1,
    }
    assert set(frame["label"]) - set(own["label"]) == {"iconic", "natural"}


LAYOUTS = [
    # format, folder, label files, boxes a class, other rows by reason
    ("coco", "coco_dataset/coco_instances", ["annotations/*.json"], {"a": 1, "b": 2}, {}),
    ("coco", "coco_dataset/mmdet_coco", ["annotations/*.json"], {"a": 1, "b": 2}, {}),
    ("coco", "coco_dataset/coco_roboflow", ["*/_annotations.coco.json"], {"a": 1, "b": 2}, {}),
    ("coco", "coco_dataset/coco_person_keypoints", ["annotations/*.json"], {"a": 1, "b": 2}, {}),
    ("coco", "coco_dataset/coco_stuff", ["annotations/*.json"], {"a": 1, "b": 1}, {}),
    # no boxes in these: both files are refused, both images have no label
    ("coco", "coco_dataset/coco_captions", ["annotations/*.json"], {}, {"unparsable": 2, "no-label": 2}),
    ("coco", "coco_dataset/coco_image_info", ["annotations/*.json"], {}, {"unparsable": 2, "no-label": 2}),
    ("coco", "coco_dataset/coco_labels", ["annotations/*.json"], {}, {"unparsable": 2, "no-label": 2}),
    # its masks, panoptic_train/a.png and panoptic_val/b.png, are pictures too
    ("coco", "coco_dataset/coco_panoptic", ["annotations/*.json"], {}, {"unparsable": 2, "no-label": 4}),
    # instances, keypoints and stuff side by side, and four kinds that are refused
    ("coco", "coco_dataset/coco", ["annotations/*.json"], {"a": 3, "b": 5}, {"unparsable": 8, "no-label": 2}),
    ("coco", "roboflow_dataset/coco", ["*/*.json"], {"label_0": 2, "label_1": 2}, {}),
    ("coco", "roboflow_dataset/createml", ["*/*.json"], {}, {"unparsable": 2, "no-label": 3}),
    # 2007_000002.jpg has no XML, two masks are pictures too
    ("voc", "voc_dataset/voc_dataset1", ["Annotations/*.xml"], {"cat": 1, "person": 1}, {"no-label": 3}),
    ("voc", "roboflow_dataset/voc", ["*/*.xml"], {"label_0": 2, "label_1": 2}, {}),
    ("yolo", "yolo_dataset/labels", ["labels/**/*.txt", "obj.names"], {"label_2": 2, "label_4": 2}, {}),
    # README.txt is one line that is no label
    ("yolo", "yolo_dataset/labels", ["**/*.txt", "*.names"], {"label_2": 2, "label_4": 2}, {"unparsable": 1}),
    ("yolo", "yolo_dataset/annotations", ["**/*.txt", "*.names"], {"label_2": 1, "label_4": 1}, {}),
    # train.txt, a list of one image, is one line that is no label
    ("yolo", "yolo_dataset/strict", ["**/*.txt", "*.names"], {"label_2": 1, "label_4": 1}, {"unparsable": 1}),
    ("yolo", "roboflow_dataset/yolo", ["**/*.txt", "data.yaml"], {"label_0": 2, "label_1": 2}, {}),
    # four lines of corners with the class as a word
    ("yolo", "roboflow_dataset/yolo_obb", ["**/*.txt", "data.yaml"], {}, {"unparsable": 4}),
    # one column a class: no column holds the label
    ("csv", "roboflow_dataset/multiclass", ["*/_classes.csv"], {}, {"unparsable": 2, "no-label": 3}),
]


@pytest.mark.parametrize(("kind", "folder", "labels", "classes", "others"), LAYOUTS)
def test_a_layout_as_tools_write_it_is_read(real_data, kind, folder, labels, classes, others):
    source = Folder(real_data / "annotation-formats/data" / folder, ["**/*.jpg", "**/*.png"], labels)
    frame = source.annotations(format=kind)
    boxed = frame.filter(pl.col("reason").is_null())
    assert Counter(boxed["label"]) == classes
    assert boxed["image_path"].null_count() == boxed["x_min_px"].null_count() == 0
    assert reasons(frame.filter(pl.col("reason").is_not_null())) == others
