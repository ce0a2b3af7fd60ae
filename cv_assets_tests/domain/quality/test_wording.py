"""How a report spells numbers and cuts names."""

import math

import pytest

from cv_assets.domain.quality.wording import (
    LABEL_LENGTH,
    MARKS_ON_A_LETTER,
    PATH_LENGTH,
    VALUE_LENGTH,
    fact,
    figure,
    in_bytes,
    in_percent,
    plain_number,
    plural,
    short_figure,
    shortened_label,
    shortened_path,
    shortened_value,
    visible,
)

SPELLED = [
    (figure, 0, "0"),
    (figure, 7.0, "7"),
    (figure, 0.123456, "0.1235"),
    (figure, 9_999, "9999"),
    (figure, 12_345, "12.3k"),
    (figure, 12_345_678, "12.3M"),
    (figure, 9_999.6, "10k"),  # each of these rounds to the next unit
    (figure, 999_499, "999k"),
    (figure, 999_500, "1M"),
    (figure, 999_500_000, "1G"),
    (figure, -999_500, "-1M"),
    (figure, 1.5e12, "1500G"),  # not 1.5e+03G
    (figure, 999.96, "1000"),
    (figure, -0.5, "-0.5"),
    (figure, None, "–"),
    (short_figure, 0.123456, "0.123"),
    (short_figure, 1_234.5, "1234"),  # not 1.23e+03
    (short_figure, 999.6, "1000"),  # not 1e+03
    (short_figure, None, "–"),
    (in_percent, 0.5, "50%"),
    (in_percent, 0.0123, "1.2%"),
    (in_percent, 0, "0%"),
    (in_percent, None, "–"),
    (in_bytes, 999, "999 B"),
    (in_bytes, 0, "0 B"),
    (in_bytes, 999.6, "1.0 kB"),
    (in_bytes, 12_345, "12.3 kB"),
    (in_bytes, 950_000, "950.0 kB"),
    (in_bytes, 999_949, "999.9 kB"),
    (in_bytes, 999_950, "1.0 MB"),
    (in_bytes, 999_950_000, "1.0 GB"),
    (in_bytes, 5e9, "5.0 GB"),
    (in_bytes, None, "–"),
    (fact, ("height_px", 480), "height 480 px"),
    (fact, ("brightness_ratio", 0.12345), "brightness 0.123"),
    (fact, ("size_bytes", 20_000), "size 20.0 kB"),
    (fact, ("swapped", True), "swapped"),
    (fact, ("accepted", False), "not accepted"),
    (fact, ("other_label", "cat"), "other label: cat"),
    (fact, ("detail", "cut off"), "cut off"),
    (plain_number, math.nan, None),
    (plain_number, math.inf, None),
    (plain_number, 0.12345678, 0.123457),
    (plain_number, 7, 7),
]


@pytest.mark.parametrize(("spell", "value", "text"), SPELLED)
def test_a_value_is_spelled_as_people_say_it(spell, value, text):
    assert spell(value) == text


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [(1, "box", "1 box"), (2, "box", "2 boxes"), (3, "class", "3 classes"), (0, "property", "0 properties"),
     (1_200, "image", "1,200 images")],
)  # fmt: skip
def test_a_count_agrees_with_its_noun(count, noun, text):
    assert plural(count, noun) == text


def test_of_a_long_path_both_ends_stay():
    path = f"folder/{'x' * 10_000}/last.jpg"
    assert len(shortened_path(path)) <= PATH_LENGTH
    assert shortened_path(path).startswith("folder/x")
    assert shortened_path(path).endswith("/last.jpg")
    assert shortened_path("a/b.jpg") == "a/b.jpg"


def test_long_labels_and_values_are_cut_and_short_ones_stay():
    assert len(shortened_label("x" * 10_000)) == LABEL_LENGTH
    assert shortened_label("cat") == "cat"
    assert len(shortened_value(["x" * 50] * 50)) == VALUE_LENGTH
    assert shortened_value({"b": 1, "a": "é"}) == '{"a": "é", "b": 1}'
    assert shortened_value(True) is True


UNSEEN = [
    ("plain.jpg", "plain.jpg"),
    ("größe 漢字 😀", "größe 漢字 😀"),
    ("שלום", "שלום"),
    ("a\u202eb", "a⟨U+202E⟩b"),
    ("a\nb", "a⟨U+000A⟩b"),
    ("a\u00a0b", "a⟨U+00A0⟩b"),
    ("a\u200bb", "a⟨U+200B⟩b"),
    ("e" + "\u0301" * 99 + "x", "e" + "\u0301" * MARKS_ON_A_LETTER + "…x"),
]


@pytest.mark.parametrize(("text", "spelled"), UNSEEN)
def test_what_is_not_seen_is_spelled_out_and_everything_else_stays(text, spelled):
    assert visible(text) == spelled
