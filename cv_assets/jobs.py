"""One job a dataset: the whole line, with its checks, for one version."""

from typing import Any

import dagster as dg

from cv_assets.assets.line import Line


def build_job(line: Line) -> Any:  # Dagster does not export the type of an asset job
    """The job that is named after the dataset. It needs no configuration, only a version."""
    return dg.define_asset_job(
        line.config.name,
        selection=dg.AssetSelection.groups(line.config.name),
        description=f"Uploads to release: every asset and check of {line.config.name}, for one version.",
    )
