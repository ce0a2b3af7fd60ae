"""Names and patterns in dataset files that look well and cannot be used: they are refused when the file is loaded."""

import dagster as dg
import pytest
from dagster._core.definitions.utils import DISALLOWED_NAMES

from cv_assets.definitions import build_defs
from resources.dataset_files import load_datasets
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
