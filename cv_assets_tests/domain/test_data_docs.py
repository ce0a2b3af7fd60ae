"""Data Docs hold what was found, as text: no name from the data is markup, and a page asks for nothing."""

import re
from html.parser import HTMLParser

from cv_assets.domain.data_docs import asset_page, index_page
from cv_assets.domain.expecting import Answer, to_verdict
from schemas.expectations import Expectations

EVIL = "<script>alert('x')</script>\"><img src=//evil.example onerror=1>"


def verdicts():
    suite = Expectations.model_validate(
        {
            "manifest": [
                {"expect": "column_values_to_be_in_set", "column": "label", "value_set": [EVIL], "name": "known_labels",
                 "description": EVIL, "where": {"label": EVIL}, "severity": "ERROR"},
                {"expect": "table_row_count_to_equal", "value": 3, "name": "three_rows"},
            ]
        }
    ).own  # fmt: skip
    answers = [
        Answer(passed=False, observed=[EVIL], unexpected=1, offending=[{"image_id": "a1", "label": EVIL}], problem=EVIL),
        Answer(passed=True, sentence="Must have exactly 3 rows.", observed=3),
    ]  # fmt: skip
    return [to_verdict(one, answer) for one, answer in zip(suite, answers, strict=True)]


def test_names_from_the_data_are_text():
    for page in (asset_page(f"{EVIL}@v1", "manifest", verdicts()), index_page(f"{EVIL}@v1", {"manifest": verdicts()})):
        assert "<script" not in page
        assert "<img" not in page
        assert "&lt;script&gt;alert(&#39;x&#39;)" in page


class _Parts(HTMLParser):
    """Names of the tags of a page, and what its attributes lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in {"href", "src", "action", "onclick", "onerror"}]


def test_a_page_loads_nothing_and_runs_nothing():
    page = asset_page("shapes@v1", "manifest", verdicts()) + index_page("shapes@v1", {"manifest": verdicts()})
    parts = _Parts()
    parts.feed(page)
    assert parts.links == ["index.html", "manifest.html#known_labels", "manifest.html#three_rows"]
    assert not parts.tags & {"script", "img", "link", "iframe", "object", "form"}
    assert "default-src 'none'" in page
    assert not re.search(r"@import|url\(", page)


def test_a_page_says_what_was_asked_what_was_found_and_which_rows_broke_it():
    page = asset_page("shapes@v1", "manifest", verdicts())
    for said in ("Expectations of manifest, shapes@v1", "1 of 2 hold", "expect_table_row_count_to_equal", "a1",
                 "Must have exactly 3 rows.", "could not be looked at", "ERROR"):  # fmt: skip
        assert said in page
    assert page == asset_page("shapes@v1", "manifest", verdicts())


def test_what_is_not_seen_is_spelled_out_on_a_page():
    suite = Expectations.model_validate({"manifest": [{"expect": "table_row_count_to_equal", "value": 3}]}).own
    answer = Answer(passed=False, observed=["gnal\u202e"], offending=[{"label": "cat\u200b"}])
    page = asset_page("shapes@v1", "manifest", [to_verdict(suite[0], answer)])
    assert not {"\u202e", "\u200b"} & set(page)
    assert "gnal⟨U+202E⟩" in page
    assert "cat⟨U+200B⟩" in page
