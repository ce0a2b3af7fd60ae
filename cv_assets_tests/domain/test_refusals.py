"""What the probe tells of a file that it refuses: what is amiss in it, and where."""

import pytest
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from cv_assets.domain.probing import probe
from cv_assets_tests.domain.images import encode, picture, png, png_chunk
from schemas.images import Limits, Rejection

JPEG = encode(picture(), "JPEG")
PAIR = encode(picture(), "MPO", save_all=True, append_images=[picture()])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (JPEG.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), "cannot handle 12-bit layers"),
        (png(64, 48, png_chunk(b"iCCP", b"a\0\1")), "Unknown compression method 1 in iCCP chunk"),
        # a tool that knows nothing of the second image left it out; the first alone would look sound
        (PAIR[: PAIR.index(b"\xff\xd9") + 2], "No data found for frame, in frame 2 of 2"),
        # of an area more than twice as large Pillow says that twice as much would do
        (png(9_000, 15_000), "135000000 pixels); at most 64000000 pixels are allowed"),
    ],
    ids=["12 bits", "a profile", "a second image", "an area"],
)
def test_a_refusal_tells_what_is_amiss_and_where(data, told):
    assert told in probe(data, Limits()).detail


@pytest.mark.parametrize(
    ("is_reduced", "has_more", "is_refused"),
    [
        (True, True, True),  # camera raw files: the photo itself lies below, in a form that Pillow never looks at
        (True, False, False),  # a thumbnail, and there is nothing else
        (False, True, False),  # smaller copies, or masks, lie below the image itself
    ],
)
def test_a_preview_is_not_taken_for_the_photo_that_lies_below_it(is_reduced, has_more, is_refused):
    tags = ImageFileDirectory_v2()
    tags[254] = int(is_reduced)
    if has_more:
        tags.tagtype[330], tags[330] = 4, 8
    found = probe(encode(picture(), "TIFF", tiffinfo=tags), Limits())
    assert isinstance(found, Rejection) is is_refused
    assert not is_refused or (found.reason == "undecodable" and "camera raw" in found.detail)
