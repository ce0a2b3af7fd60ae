"""What each table is made from: other tables, and a part of the configuration. A table made from anything else is stale."""

from collections.abc import Mapping
from typing import Any, Final

from cv_assets.domain.digests import record_digest
from schemas.datasets import DatasetConfig
from schemas.releases import Making

# Every asset before the release, in the order of the line.
READS: Final[dict[str, tuple[str, ...]]] = {
    "raw_images": (),
    "annotations": ("raw_images", "probes"),
    "manifest": ("raw_images", "probes", "annotations"),
    "quarantine": ("raw_images", "probes"),
    "quality_report": ("raw_images", "annotations", "manifest", "quarantine"),
    "splits": ("manifest",),
    "shards": ("manifest", "splits", "annotations"),
}
# Tables that are no assets of their own, and the asset that makes each in the same pass.
MADE_WITH: Final[dict[str, str]] = {
    "probes": "raw_images",
    "findings": "quality_report",
    "near_duplicates": "quality_report",
    "drift": "quality_report",
}


def configuration_digest(asset: str, config: DatasetConfig) -> str:
    """Digest of the part of the configuration that decides what is in a table."""
    given = config.model_dump(mode="json")
    files = {"include": given["annotations"]["include"], "max_bytes": given["annotations"]["max_bytes"]}
    parts: dict[str, Any] = {
        "raw_images": {"source": given["source"], "limits": given["limits"], "annotation_files": files},
        "annotations": {"annotations": given["annotations"], "group_by": given["group_by"]},
        "quality_report": {
            "quality": given["quality"],
            "classes": given["classes"],
            # rules look at these: too-few-groups, file-without-label
            "ratios": config.split.ratios,
            "annotation_format": given["annotations"]["format"],
        },
        "splits": given["split"],
        "shards": {"shards": given["shards"], "limits": given["limits"]},
    }
    return record_digest(parts.get(asset))


def why_stale(asset: str, made: Making | None, digests: Mapping[str, str], config: DatasetConfig) -> list[str]:
    """Why a table is not what its inputs and the configuration of today make; each a sentence, none if it is.

    `digests` holds the `table_digest` of every table of the version.
    """
    if made is None:
        return [f"{asset} has no record of what it was made from; materialize it"]
    if made.table_digest != digests[asset]:
        return [f"{asset} is not the table that was recorded when it was made; materialize it again"]
    changed = [name for name, digest in made.inputs.items() if digests.get(name) != digest]
    if changed:
        return [f"{asset} was made from other content of {', '.join(changed)}; materialize it again"]
    if made.configuration != configuration_digest(asset, config):
        cure = "begin a new version" if asset == "raw_images" else "materialize it again"
        return [f"{asset} was made under another configuration; {cure}"]
    return []
