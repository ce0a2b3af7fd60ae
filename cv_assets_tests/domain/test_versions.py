"""Names of versions."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cv_assets.domain.versions import check_version, in_order_of_beginning, next_version, sort_versions
from schemas.errors import ConfigurationError

GOOD = ["v1", "v10", "2024-05-01", "1.0.3", "A", "0", "v1_final-2", "x" * 64, "v-1", "a.-b"]

BAD = {
    "nothing": "",
    "a space": " ",
    "a folder": "a/b",
    "the root": "/",
    "an absolute path": "/etc/passwd",
    "the folder above": "..",
    "this folder": ".",
    "a way out": "../../up",
    "two dots": "a..b",
    "a hidden folder": ".hidden",
    "a dot at the end": "v1.",
    "an option": "-v1",
    "an underscore first": "_v1",
    "65 letters": "x" * 65,
    "300 letters": "x" * 300,
    "a newline": "v\n1",
    "a newline at the end": "v1\n",
    "a carriage return at the end": "v1\r",
    "a comma, which Dagster reads as several partitions": "v1,v2",
    "Dagster's range of partitions": "v1...v9",
    "a colon": "v:1",
    "a backslash": "v\\1",
    "a percent sign": "%2e%2e",
    "a quote": "' OR 1=1",
    "markup": "<b>",
    "NUL": "v\0",
    "a letter beyond ASCII": "größe",
    "a digit beyond ASCII": "v١",
    "a superscript digit": "v²",
    "a full-width letter": "ｖ1",
    "a right-to-left mark": "v\u202e1",
    "a space at the end": "v1 ",
    "the mark before a version": "shapes@v1",
    "the name of the newest": "latest",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_safe_name_is_kept_as_it_is(name):
    assert check_version(name) == name


@pytest.mark.parametrize("name", BAD.values(), ids=BAD)
def test_a_name_that_is_unsafe_somewhere_is_refused_with_what_is_allowed_and_what_was_found(name):
    with pytest.raises(ConfigurationError) as caught:
        check_version(name)
    message = str(caught.value)
    assert "such as v1 or 2024-05-01; found " in message
    assert message.isprintable()
    assert len(message) < 400


@given(st.text(max_size=70))
def test_whatever_passes_is_one_plain_file_name(name):
    try:
        check_version(name)
    except ConfigurationError:
        return
    assert name.isascii()
    assert name.isprintable()
    assert 0 < len(name) <= 64
    assert not set(name) & set("/\\,:;'\"<>|&$ ")
    assert ".." not in name
    assert name[0].isalnum()


NEXT = [
    ([], "v1"),
    (["v1"], "v2"),
    (["v1", "v9", "v10"], "v11"),  # by number, not by letter
    (["v3"], "v4"),  # gaps are not filled
    (["v007"], "v8"),
    (["2024-05-01", "draft", "v2-fixed"], "v1"),  # other forms do not count
    (["v3", "V9"], "v10"),  # v9 would differ from V9 by case alone
    (["v99999999999999999999"], "v100000000000000000000"),
]


@pytest.mark.parametrize(("names", "following"), NEXT)
def test_the_next_version_is_one_more_than_the_largest(names, following):
    assert next_version(names) == following


ORDER = [
    "1.9",
    "1.10",
    "2024-05-01",
    "2024-05-02",
    "2024-11-01",
    "a",
    "a1b2",
    "a1b10",
    "draft",
    "v1",
    "v2",
    "v10",
    "v10.1",
]


def test_versions_sort_as_people_count():
    shuffled = random.Random(5).sample(ORDER, len(ORDER))
    found = sort_versions(shuffled)
    for group in (("1.9", "1.10"), ("2024-05-01", "2024-11-01"), ("v1", "v2", "v10", "v10.1"), ("a1b2", "a1b10")):
        assert sorted(group, key=found.index) == list(group)


@given(st.lists(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,5}(\.[a-z0-9]{1,3})?", fullmatch=True), max_size=12))
def test_any_safe_names_can_be_sorted_and_the_order_of_the_input_means_nothing(names):
    assert sorted(sort_versions(names)) == sorted(names)
    distinct = {name for name in names if not any(part.startswith("0") for part in name.replace(".", "-").split("-"))}
    assert sort_versions(sorted(distinct)) == sort_versions(sorted(distinct, reverse=True))


def test_a_folder_with_an_odd_name_in_the_store_does_not_stop_the_others_from_being_listed():
    assert set(sort_versions(["v1", "²", "v²", "٣"])) == {"v1", "²", "v²", "٣"}


ORDERS = [
    # what Dagster knows, in its order; what only the store does; all in order
    (["v2", "v1"], [], ["v2", "v1"]),
    ([], ["v10", "v9"], ["v9", "v10"]),
    (["v7"], ["v1", "v8", "v6", "v10"], ["v1", "v6", "v7", "v8", "v10"]),  # the records of a new machine
    (["v1", "v2", "v3"], ["v4"], ["v1", "v2", "v3", "v4"]),  # a partition that was deleted
    (["v3", "2024-05", "v4"], ["2024-06", "2024-04"], ["v3", "2024-04", "2024-05", "2024-06", "v4"]),
    (["v1", "v2"], ["zeta", "alpha"], ["alpha", "zeta", "v1", "v2"]),  # of which nothing tells
]


@pytest.mark.parametrize(("begun", "others", "order"), ORDERS)
def test_versions_that_dagster_does_not_know_have_their_place_by_number(begun, others, order):
    assert in_order_of_beginning(begun, others) == order
