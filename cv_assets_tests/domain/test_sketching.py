"""Names from the data as drawings spell them."""

import pytest
from PIL import Image, ImageDraw

from cv_assets.domain.sketching import font, shorten

SPELLED = [
    # name, most characters, as it is drawn
    ("a plain name", 26, "a plain name"),
    ("twelve chars", 12, "twelve chars"),
    ("thirteen char", 12, "thirteen ch…"),
    ("Äpfel", 26, r"\xc4pfel"),
    ("חתול", 26, r"\u05d7\u05ea\u05d5\u05dc"),
    ("קطة", 26, r"\u05e7\u0637\u0629"),
    ("猫 と 犬", 26, r"\u732b \u3068 \u72ac"),
    ("🐈", 26, r"\U0001f408"),
    ("a\nb\0\u202e", 26, r"a\nb\x00\u202e"),
    ("חתול", 20, r"\u05d7\u05ea\u05d5…"),  # no half of an escape
    ("x" * 25 + "é", 26, "x" * 25 + "…"),
    ("", 26, ""),
]


def pixels_of(char):
    paper = Image.new("L", (48, 48))
    ImageDraw.Draw(paper).text((0, 0), char, 255, font(32))
    return paper.tobytes()


@pytest.mark.parametrize(("name", "most", "drawn"), SPELLED)
def test_what_the_font_cannot_draw_is_spelled(name, most, drawn):
    assert shorten(name, most) == drawn


def test_what_is_spelled_is_drawn_with_glyphs_that_the_font_has():
    assert pixels_of("ä") == pixels_of("猫") == pixels_of("\uffff")  # one box for all of them
    for _, _, drawn in SPELLED:
        assert pixels_of("\uffff") not in map(pixels_of, drawn)
