"""Figures over versions: taken from whatever tables a version has."""

import json

from cv_assets.domain.quality.history import HISTORY, build_history
from schemas.tables import to_frame


def report(*figures):
    """A quality report of (section, name, value) rows."""
    rows = [
        {"section": section, "name": name, "value": float(value), "unit": "things", "evidence": None}
        for section, name, value in figures
    ]
    return to_frame("quality_report", rows)


def drift(**psi):
    """A drift table of {property: PSI}; above 0.25 it has drifted, and one without a PSI is None."""
    rows = [
        {"property": name, "kind": "number", "baseline_rows": 90, "rows": 90, "psi": value, "js_distance": None}
        | {"ks_statistic": None, "ks_p_value": None, "drifted": value is not None and value > 0.25}
        | {"evidence": json.dumps({"enough_rows": not name.startswith("few")})}
        for name, value in psi.items()
    ]
    return to_frame("drift", rows)


def figures_of(history, version):
    return dict(history.filter(version=version).select("figure", "value").iter_rows())


def test_figures_of_the_report_and_of_the_drift_stand_side_by_side():
    history = build_history(
        {
            "v1": {
                "quality_report": report(("records", "images", 10), ("findings", "dark", 2), ("findings", "light", 3))
            },
            "v2": {
                "quality_report": report(("records", "images", 20), ("properties", "sharpness.median", 41.5)),
                "drift": drift(label=0.4, sharpness=0.1, width_px=None),
            },
        }
    )
    assert figures_of(history, "v1") == {
        "records.images": 10,
        "findings.dark": 2,
        "findings.light": 3,
        "findings.all": 5,
    }
    assert figures_of(history, "v2") == {
        "records.images": 20,
        "properties.sharpness.median": 41.5,
        "drift.largest_psi": 0.4,
        "drift.properties": 1,
    }
    assert history["version"].unique(maintain_order=True).to_list() == ["v1", "v2"]


def test_what_depends_on_the_names_in_the_data_is_no_figure():
    history = build_history({"v1": {"quality_report": report(("classes", "images of cat", 4), ("nulls", "label", 1))}})
    assert history.is_empty()


def test_what_is_not_a_number_is_no_figure():
    nothing = report(("properties", "sharpness.median", float("nan")), ("records", "images", 0))
    assert figures_of(build_history({"v1": {"quality_report": nothing}}), "v1") == {"records.images": 0}


def test_a_psi_of_few_values_is_not_the_largest():
    history = build_history({"v1": {"drift": drift(few=9.0, label=0.1)}, "v2": {"drift": drift(few=9.0)}})
    assert figures_of(history, "v1")["drift.largest_psi"] == 0.1
    assert "drift.largest_psi" not in figures_of(history, "v2")


def test_a_version_without_a_baseline_has_no_figure_of_drift():
    history = build_history({"v1": {"quality_report": report(("records", "images", 1)), "drift": drift()}})
    assert set(figures_of(history, "v1")) == {"records.images"}


def test_versions_without_tables_and_no_versions_make_an_empty_history():
    for versions in ({}, {"v1": {}}):
        history = build_history(versions)
        assert history.is_empty()
        assert dict(history.schema) == HISTORY
