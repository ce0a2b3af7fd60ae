"""The quality report as one HTML file: it loads nothing, runs nothing, and shows names from the data as text alone.

Whatever a template prints is escaped, and characters that are not seen (controls, marks that turn the direction of text)
are spelled out before that: `finalize` is given every value, so that no template can forget it.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from cv_assets.domain.quality import plots
from cv_assets.domain.quality.finding_kinds import CLUSTERED
from cv_assets.domain.quality.report import Report, pictures_shown
from cv_assets.domain.quality.wording import FILTERS, visible

if TYPE_CHECKING:
    import jinja2

MOST_PICTURE_BYTES: Final = 4_500_000
TEMPLATE: Final = "page.html.j2"


def page(report: Report, thumbnails: Mapping[str, bytes]) -> bytes:
    """The page of `report_json`; `thumbnails` maps image id → JPEG. A missing one, or one too many, is said in its place.

    Less than 10 MB, whatever the dataset. Equal input gives equal bytes.
    """
    pictures = _pictures(report, thumbnails)
    text = templates().get_template(TEMPLATE).render(
        report=report, pictures=pictures, clustered=CLUSTERED, plots=plots
    )  # fmt: skip
    return text.encode()


def marked(label: str) -> str:
    """A label with the spaces at its ends marked, where the eye misses them."""
    inner = label.strip(" ")
    before = len(label) - len(label.lstrip(" "))
    return f"{'␣' * before}{inner}{'␣' * (len(label) - before - len(inner))}"


def _pictures(report: Report, thumbnails: Mapping[str, bytes]) -> dict[str, str]:
    """Image id → data URI, as long as there is room; the first places of a page come first."""
    places = Counter(pictures_shown(report))
    found: dict[str, str] = {}
    room = MOST_PICTURE_BYTES
    for image_id, count in places.items():
        if image_id in thumbnails:
            uri = f"data:image/jpeg;base64,{b64encode(thumbnails[image_id]).decode()}"
            if len(uri) * count <= room:
                found[image_id] = uri
                room -= len(uri) * count
    return found


@cache
def templates() -> "jinja2.Environment":
    """What the page is made from; each is compiled when it is first asked for."""
    import jinja2  # noqa: PLC0415 - a command that shows no page need not wait for it
    from markupsafe import Markup  # noqa: PLC0415 - comes with jinja2

    def finalize(value: Any) -> Any:
        return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS, marked=marked)  # pyright: ignore[reportUnknownMemberType] - untyped
    return environment
