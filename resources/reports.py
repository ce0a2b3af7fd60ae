"""Where the files of a quality report lie, and the thumbnails that it shows. What is in a report is not said here."""

import json
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from cv_assets.domain.digests import bytes_digest
from cv_assets.domain.lineage import READS
from cv_assets.domain.quality.plots import THUMBNAIL_PX
from resources.content_store import ContentStore
from resources.engine import Engine
from resources.records import find_record
from resources.verdicts import list_failed
from resources.versions import VersionStore
from schemas.errors import ConfigurationError, CorruptObject, CvAssetsError, GateNotPassed, StoreError
from schemas.images import Limits
from schemas.releases import ReportPlace

PAGE: Final = "report.html"
DATA: Final = "report.json"
FILES: Final = (PAGE, DATA)


def make_thumbnails(content: ContentStore, engine: Engine, limits: Limits, ids: Iterable[str]) -> dict[str, bytes]:
    """Image id → JPEG of the size that the page has room for, upright, made by decoding workers and without any metadata.

    An image that a worker does not get through this time is left out. Raises CorruptObject, StoreError.
    """
    arguments = {"limits": asdict(limits), "side_px": THUMBNAIL_PX}
    answers = content.decode(engine, "thumbnail", arguments, sorted(set(ids)))
    return {image_id: b64decode(answer["bytes"]) for image_id, answer in answers if "bytes" in answer}


def save_report(version: VersionStore, page: bytes, report: dict[str, Any]) -> dict[str, str]:
    """Keep the page and the data behind it with the version; file name → key of what is kept.

    A committed version keeps what it was committed with.
    """
    text = json.dumps(report, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    files = {PAGE: page, DATA: (text + "\n").encode()}
    return {name: _save(version, name, data) for name, data in files.items()}


def find_report_key(version: VersionStore, name: str) -> str | None:
    """Key of a file of the report, `PAGE` or `DATA`: as the commit record names it, else as last written; None if there is none."""
    if (committed := _committed_key(version, name)) is not None:
        return committed
    place = find_record(version.store, ReportPlace, _place_key(version, name))
    return None if place is None else f"{_folder(version)}/{place.file}"


def _save(version: VersionStore, name: str, data: bytes) -> str:
    """Keep a file of the report, and return the key of the one that is kept.

    One that the commit record names stays, whatever `data` is: a later release may draw the same findings otherwise.
    Raises VersionConflict if `data` is that file, and its object is damaged.
    """
    stem, _, extension = name.rpartition(".")
    file = f"{stem}-{bytes_digest(data)[:16]}.{extension}"
    key, committed = f"{_folder(version)}/{file}", _committed_key(version, name)
    if committed is None:
        version.store.put(key, data)
        version.store.put(_place_key(version, name), ReportPlace(name=name, file=file).to_bytes())
    elif committed == key:
        version.store.put_new(key, data)
    return committed or key


def _committed_key(version: VersionStore, name: str) -> str | None:
    stem, _, extension = name.rpartition(".")
    record = version.commit()
    for entry in record.objects if record else ():
        before, _, after = entry.key.rsplit("/", 1)[-1].rpartition("-")
        if entry.role == "report" and before == stem and after.endswith(f".{extension}"):
            return entry.key
    return None


def _folder(version: VersionStore) -> str:
    return f"{version.prefix}/report"


def _place_key(version: VersionStore, name: str) -> str:
    return f"{_folder(version)}/places/{name}.json"


def load_report(version: VersionStore, name: str) -> bytes:
    """A file of the report, `PAGE` or `DATA`.

    Raises ConfigurationError if there is none, GateNotPassed if a check that failed is why; CorruptObject, StoreError.
    """
    key = find_report_key(version, name)
    if key is None:
        raise _missing(version)

    def check(data: bytes) -> bytes:
        if bytes_digest(data)[:16] not in key.rsplit("/", 1)[-1]:
            raise CorruptObject(f"{key} is damaged: its bytes are not those that its name tells; repair the version")
        return data

    data = version.store.read(key, check)
    if data is None:
        raise StoreError(f"expected an object at {key}, found none; repair the version")
    return data


def _missing(version: VersionStore) -> CvAssetsError:
    said = f"expected a report of {version.dataset}@{version.version}, found none"
    run = f"cv-assets run {version.dataset}"
    if version.commit() is not None:
        return ConfigurationError(
            f"{said}: it was committed by a release that made none, and stays as it is. The next version has one: `{run}`"
        )
    again, reads = f"{run} --version {version.version}", READS["quality_report"]
    failed = list_failed(version, reads)
    if not failed:
        return ConfigurationError(f"{said}; make it with `{again}`")
    wanted = [*(name for name in reads if version.find_table_key(name) is None), "quality_report"]
    return GateNotPassed(
        f"{said}, as a check before it failed: {'; '.join(failed)}. Mend the uploads and begin a new version (`{run}`), "
        f"or mend the dataset's files and go on (`{again}`). "
        f"What can be said so far is shown after `{again} --select {','.join(wanted)}`"
    )
