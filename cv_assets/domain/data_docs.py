"""Data Docs: what was expected of a version and what was found, as pages of static HTML.

They are made of the verdicts that are kept with the version, in the words of Great Expectations. Its own pages are not used:
they print values from the data as markup, so that a label may be a script, load styles and scripts from eight hosts, and
hold the time of the day (docs/adr/0023-expectations-beside-pandera.md).
"""

import functools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cv_assets.domain.quality.wording import visible
from schemas.releases import Verdict

if TYPE_CHECKING:
    import jinja2

INDEX: Final = "index.html"
_HEAD: Final = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
  :root { color-scheme: light dark; --line: #8884; --good: #2a7d46; --warn: #b26a00; --bad: #c0392b; }
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; }
  table { border-collapse: collapse; margin: .5rem 0 1rem; }
  th, td { border: 1px solid var(--line); padding: .2rem .6rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
  section { border-top: 1px solid var(--line); padding-top: .5rem; }
  code { font-size: .9em; overflow-wrap: anywhere; }
  .passed { color: var(--good); } .WARN { color: var(--warn); } .ERROR { color: var(--bad); }
</style>
<h1>{{ title }}</h1>
"""
_PAGE: Final = (
    _HEAD
    + """<p><a href="index.html">All expectations of this version</a></p>
<p>{{ passed }} of {{ verdicts | length }} hold.</p>
{% for one in verdicts %}
<section id="{{ one.name }}">
<h2>{% if one.passed %}<span class="passed">✓</span>
{% else %}<span class="{{ one.severity }}">✗ {{ one.severity }}</span>
{% endif %}{{ one.name }}</h2>
<p>{{ one.description }}</p>
<table>
<tr><th>expected of</th><td>{{ one.saw.asked.table }}</td></tr>
<tr><th>type</th><td><code>expect_{{ one.saw.asked.expect }}</code></td></tr>
{% for name, value in one.saw.asked.items() if name not in ("table", "expect") %}
<tr><th>{{ name }}</th><td><code>{{ spelt(value) }}</code></td></tr>
{% endfor %}
{% for name, value in one.saw.items() if name != "asked" %}
<tr><th>{{ words.get(name, name) }}</th><td><bdi>{{ spelt(value) }}</bdi></td></tr>
{% endfor %}
</table>
{% if one.offending %}
<p>The first rows that broke it:</p>
<table>
<tr>{% for name in one.offending[0] %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in one.offending %}
<tr>{% for value in row.values() %}<td><bdi>{{ spelt(value) }}</bdi></td>{% endfor %}</tr>
{% endfor %}
</table>
{% endif %}
</section>
{% endfor %}
</html>
"""
)
_CONTENTS: Final = (
    _HEAD
    + """<table>
<tr><th>asset</th><th>expectation</th><th>says</th><th>result</th></tr>
{% for asset, verdicts in assets.items() %}{% for one in verdicts %}
<tr><td>{{ asset }}</td><td><a href="{{ asset }}.html#{{ one.name }}">{{ one.name }}</a></td><td>{{ one.description }}</td>
<td>{% if one.passed %}<span class="passed">holds</span>
{% else %}<span class="{{ one.severity }}">{{ one.severity }}</span>
{% endif %}</td></tr>
{% endfor %}{% endfor %}
</table>
</html>
"""
)
_WORDS: Final = {
    "observed": "found",
    "rows": "rows looked at",
    "unexpected": "broken by",
    "unexpected_percent": "broken by, in percent",
    "problem": "could not be looked at",
    "not_asked": "not looked at",
    "note": "to be known",
}


def asset_page(of: str, asset: str, verdicts: Sequence[Verdict]) -> str:
    """The page of the expectations of one asset; `of` names dataset and version."""
    passed = sum(verdict.passed for verdict in verdicts)
    said = {"verdicts": [one.model_dump(mode="json") for one in verdicts], "passed": passed, "words": _WORDS}
    return _render(_PAGE, {"title": f"Expectations of {asset}, {of}", **said})


def index_page(of: str, verdicts: Mapping[str, Sequence[Verdict]]) -> str:
    """The page that leads to those of all assets, from the asset's name to its verdicts."""
    assets = {asset: [one.model_dump(mode="json") for one in found] for asset, found in verdicts.items()}
    return _render(_CONTENTS, {"title": f"Expectations of {of}", "assets": assets})


def _render(template: str, said: dict[str, Any]) -> str:
    return _compiled(template).render(**said, spelt=_spelt)


@functools.cache
def _compiled(template: str) -> "jinja2.Template":
    """A template that is read once a process, which takes longer than to fill it."""
    import jinja2  # noqa: PLC0415 - commands that make no page start faster

    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_seen,
    )
    return environment.from_string(template)


def _seen(value: Any) -> Any:
    return visible(value) if isinstance(value, str) else value


def _spelt(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
