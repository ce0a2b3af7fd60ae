"""Names, patterns and sizes in dataset files: what looks well and cannot be used is refused when the file is loaded."""

import dagster as dg
import pytest
from dagster._core.definitions.utils import DISALLOWED_NAMES

from cv_assets.definitions import build_defs
from cv_assets.domain.snapshot import RoleOf
from resources.dataset_files import load_dataset, load_datasets
from schemas.datasets import parse_quantity
from schemas.errors import ConfigurationError
from schemas.names import RESERVED_NAMES


def write(folder, name="shapes", more=""):
    path = folder / f"{name}.yaml"
    path.write_text(f"name: '{name}'\nsource: {{url: uploads{more}}}\n")
    return path


def said_of(path):
    """The one line that is said of a file."""
    with pytest.raises(ConfigurationError) as caught:
        load_datasets(path.parent)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


def test_the_names_that_dagster_keeps_are_those_that_no_dataset_can_have():
    assert RESERVED_NAMES == DISALLOWED_NAMES


@pytest.mark.parametrize("name", ["class", "lambda", "meta", "config", "input", "output", "type", "dict"])
def test_a_word_of_python_or_dagster_is_no_name(tmp_path, name):
    said = f"name: found '{name}'; is a word of Python or Dagster: use another name, such as {name}_images"
    assert said_of(write(tmp_path, name)) == said


@pytest.mark.parametrize(("name", "instead"), [("a__verify", "a_verify"), ("a___b__c", "a_b_c")])
def test_a_name_has_no_two_underscores_in_a_row(tmp_path, name, instead):
    assert said_of(write(tmp_path, name)).endswith(f"which begin the names of its steps: use {instead}")


def test_names_that_are_like_those_are_loaded_side_by_side(tmp_path):
    names = ["a", "a_", "a_verify", "classes", "class_images", "meta_", "match", "store", "typed"]
    for name in names:
        write(tmp_path, name)
    found = load_datasets(tmp_path)
    assert [one.name for one in found] == sorted(names)
    dg.Definitions.validate_loadable(build_defs(datasets=found))


# of a source, and the field that is meant
TOO_MANY = {
    "include: ['img{0001..2000}.png']": "include: found ['img{0001..2000}.png']",
    "exclude: ['{1..600}', '{1..600}']": "exclude: found ['{1..600}', '{1..600}']",  # all patterns of a list count
    f"exclude: ['{'{a,b}' * 20}']": "exclude: found ['{a,b}{a,b}",
}


@pytest.mark.parametrize(("patterns", "words"), TOO_MANY.items(), ids=TOO_MANY)
def test_patterns_of_too_many_choices_are_refused(tmp_path, patterns, words):
    said = said_of(write(tmp_path, more=f", {patterns}"))
    assert said.startswith(f"source.{words}")
    assert "names more than 1000 paths one by one" in said
    assert "use a pattern such as" in said


def test_too_many_annotation_files_are_refused_as_well(tmp_path):
    path = write(tmp_path)
    path.write_text(path.read_text() + "annotations: {format: csv, include: ['{1..99999999999}.csv']}\n")
    assert said_of(path).startswith("annotations.include: found ['{1..99999999999}.csv']; names more than 1000 paths")


def test_as_many_choices_as_are_allowed_name_their_files(tmp_path):
    role_of = RoleOf(load_dataset(write(tmp_path, more=", include: ['img{0001..1000}.png']")))
    assert [role_of(path) for path in ("img0001.png", "img1000.png", "img1001.png")] == ["image", "image", None]


QUANTITIES = [("64.1MB", 64_100_000), ("0.3 GiB", 322_122_547), ("1.005k", 1_005), (" 512KiB", 524_288), ("7", 7)]


@pytest.mark.parametrize(("written", "bytes_meant"), QUANTITIES)
def test_a_quantity_is_what_is_written_to_the_byte(written, bytes_meant):
    assert parse_quantity(written) == bytes_meant
