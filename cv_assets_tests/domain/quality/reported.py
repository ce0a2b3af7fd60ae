"""Reports that tests make by hand: the sound tables with a few defects told, and what the page makes of them."""

import json
from html.parser import HTMLParser

import polars as pl

from cv_assets.domain.quality.page import page
from cv_assets.domain.quality.report import About, pictures_wanted, report_json
from cv_assets.domain.rendering import thumbnail
from cv_assets_tests.domain.images import encode, noise
from cv_assets_tests.domain.tables import config, image_id, label_row, sound_tables
from schemas.images import Limits
from schemas.tables import to_frame

NAMES = {
    "markup": "<script>alert(1)</script>.jpg",
    "a quoted attribute": "\"><img src=x onerror=alert(1)>'",
    "the end of the style": "</style></title><svg onload=alert(1)>",
    "an address": "javascript:alert(1)//https://evil.example/x.png",
    "a template": "{{ 7 * 7 }}{% include 'x' %}{# #}",
    "turned text": "a\u202egpj.exe\u2066",
    "controls": "line\nbreak\ttab\x00\x1b[31m\x7f",
    "accents": "e" + "\u0301" * 3_000,
    "length": "long" * 2_500,
    "entities": "&lt;b&gt;&amp;&#60;",
    "space": "  spaces  ",
}
THUMBNAIL = thumbnail(encode(noise((200, 150)), "PNG"), Limits(), 128)


def finding(code, name=None, **said):
    """A row of findings about the image that a test calls `name`."""
    row = dict.fromkeys(("annotation_id", "path", "score", "threshold")) | {"severity": "WARN", "evidence": "{}"}
    return {**row, "code": code, "image_id": name and image_id(name), "path": name, **said}


def tables(*findings, **other):
    """The tables of a sound version with these findings, in their order."""
    held = sound_tables()
    frame = pl.concat([held["findings"].clear(), *(to_frame("findings", [row]) for row in findings)])
    return {**held, "findings": frame, **other}


def boxed_tables():
    """Three boxes in one image, the second of them told: it begins before the image and ends in its middle."""
    boxes = [(0, 0, 32, 24), (-16, 12, 32, 36), (60, 40, 61, 41)]
    rows = [label_row("circle/1.png", "circle", place=place, box=box) for place, box in enumerate(boxes)]
    told = finding("box-out-of-bounds", "circle/1.png", annotation_id="circle/1.png#1", score=16.0)
    return tables(told, annotations=to_frame("annotations", rows))


def report(held, *, baseline=None, failed=(), **settings):
    """The report on some tables; it can be written as JSON."""
    made = report_json(held, config(**settings), About("shapes", "v1", baseline, failed))
    return json.loads(json.dumps(made, allow_nan=False))


def page_of(held, *, thumbnails=None, baseline=None, **settings):
    """The page as text."""
    wanted = pictures_wanted(held, config(**settings))
    made = report_json(held, config(**settings), About("shapes", "v1", baseline))
    return page(made, dict.fromkeys(wanted, THUMBNAIL) if thumbnails is None else thumbnails).decode()


class Seen(HTMLParser):
    """A page as a browser takes it: its elements with their attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(html)
        self.text = "".join(self.texts)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def values(self, tag, attribute):
        return [attributes[attribute] for name, attributes in self.elements if name == tag and attribute in attributes]
