"""The closed sets behind expectations: tables, columns, types of expectations, and what their arguments may be.

They are written down so that a mistake is met when a file is read: Great Expectations, which could tell as well, takes
seconds to import. A test holds them against the installed release.
"""

import re
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, get_args

from pydantic import AfterValidator, Field, StrictBool, TypeAdapter, model_validator

from schemas.strict import Strict

Table = Literal["uploads", "annotations", "manifest", "classes", "drift", "splits"]
Kind = Literal["text", "number", "flag"]
TABLES: Final[tuple[Table, ...]] = get_args(Table)


def _columns(*, text: str = "", number: str = "", flag: str = "") -> dict[str, Kind]:
    kinds: dict[Kind, str] = {"text": text, "number": number, "flag": flag}
    return {name: kind for kind, names in kinds.items() for name in names.split()}


# What may be expected something of: every plain column of the tables, and what cv_assets/domain/expected_tables.py adds.
COLUMNS: Final[dict[Table, dict[str, Kind]]] = {
    "uploads": _columns(
        number="files image_files annotation_files size_bytes rejected rejected_share newest_upload_age_hours"
    ),
    "annotations": _columns(
        text="annotation_id image_path image_id named label group attributes reason detail",
        number="x_min_px y_min_px x_max_px y_max_px declared_width_px declared_height_px box_width_px box_height_px box_share",
        flag="image_is_accepted",
    ),
    "manifest": _columns(
        text="image_id format mode phash path label",
        number="size_bytes width_px height_px channels bit_depth exif_orientation frames brightness_ratio "
        "brightness_p05_ratio brightness_p99_ratio contrast_ratio sharpness entropy_bits colour_ratio bars_ratio "
        "border_ratio path_count label_count group_count annotation_count aspect_ratio short_side_px",
    ),
    "classes": _columns(text="label", number="images objects image_share object_share"),
    "drift": _columns(
        text="property kind evidence",
        number="baseline_rows rows psi js_distance ks_statistic ks_p_value",
        flag="drifted",
    ),
    "splits": _columns(text="image_id split unit label", number="unit_splits", flag="image_is_in_manifest"),
}


class ExpectationType(NamedTuple):
    """Arguments of one type of expectation, and which kinds of columns it is for."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ("text", "number", "flag")


_RANGE: Final = ("min_value", "max_value", "strict_min", "strict_max")
_NUMBER: Final[tuple[Kind, ...]] = ("number",)
_TEXT: Final[tuple[Kind, ...]] = ("text",)
_EACH, _BOTH, _ALL = ("column",), ("column_A", "column_B"), ("column_list",)

# The types of Great Expectations that say something of our tables, without the word `expect_`.
TYPES: Final[dict[str, ExpectationType]] = {
    "column_values_to_not_be_null": ExpectationType(_EACH, ("mostly",)),
    "column_values_to_be_null": ExpectationType(_EACH, ("mostly",)),
    "column_values_to_be_unique": ExpectationType(_EACH, ("mostly",)),
    "column_values_to_be_between": ExpectationType(_EACH, (*_RANGE, "mostly"), _NUMBER),
    "column_values_to_be_in_set": ExpectationType((*_EACH, "value_set"), ("mostly",)),
    "column_values_to_not_be_in_set": ExpectationType((*_EACH, "value_set"), ("mostly",)),
    "column_values_to_match_regex": ExpectationType((*_EACH, "regex"), ("mostly",), _TEXT),
    "column_values_to_not_match_regex": ExpectationType((*_EACH, "regex"), ("mostly",), _TEXT),
    "column_values_to_match_regex_list": ExpectationType((*_EACH, "regex_list"), ("match_on", "mostly"), _TEXT),
    "column_values_to_not_match_regex_list": ExpectationType((*_EACH, "regex_list"), ("mostly",), _TEXT),
    "column_value_lengths_to_be_between": ExpectationType(_EACH, (*_RANGE, "mostly"), _TEXT),
    "column_value_lengths_to_equal": ExpectationType((*_EACH, "value"), ("mostly",), _TEXT),
    "column_values_to_not_be_outliers": ExpectationType((*_EACH, "method", "multiplier"), ("mostly",), _NUMBER),
    "column_value_z_scores_to_be_less_than": ExpectationType(
        (*_EACH, "threshold", "double_sided"), ("mostly",), _NUMBER
    ),
    "column_distinct_values_to_be_in_set": ExpectationType((*_EACH, "value_set")),
    "column_distinct_values_to_contain_set": ExpectationType((*_EACH, "value_set")),
    "column_distinct_values_to_equal_set": ExpectationType((*_EACH, "value_set")),
    "column_most_common_value_to_be_in_set": ExpectationType((*_EACH, "value_set"), ("ties_okay",)),
    "column_min_to_be_between": ExpectationType(_EACH, _RANGE, _NUMBER),
    "column_max_to_be_between": ExpectationType(_EACH, _RANGE, _NUMBER),
    "column_mean_to_be_between": ExpectationType(_EACH, _RANGE, _NUMBER),
    "column_median_to_be_between": ExpectationType(_EACH, _RANGE, _NUMBER),
    "column_stdev_to_be_between": ExpectationType(_EACH, _RANGE, _NUMBER),
    "column_sum_to_be_between": ExpectationType(_EACH, _RANGE, _NUMBER),
    "column_quantile_values_to_be_between": ExpectationType((*_EACH, "quantile_ranges"), (), _NUMBER),
    "column_proportion_of_non_null_values_to_be_between": ExpectationType(_EACH, _RANGE),
    "column_proportion_of_unique_values_to_be_between": ExpectationType(_EACH, _RANGE),
    "column_unique_value_count_to_be_between": ExpectationType(_EACH, _RANGE),
    "column_pair_values_to_be_equal": ExpectationType(_BOTH, ("mostly",)),
    "column_pair_values_a_to_be_greater_than_b": ExpectationType(_BOTH, ("or_equal", "mostly"), _NUMBER),
    "column_pair_values_to_be_in_set": ExpectationType((*_BOTH, "value_pairs_set"), ("mostly",)),
    "compound_columns_to_be_unique": ExpectationType(_ALL, ("mostly",)),
    "select_column_values_to_be_unique_within_record": ExpectationType(_ALL, ("mostly",)),
    "multicolumn_sum_to_equal": ExpectationType((*_ALL, "sum_total"), ("mostly",), _NUMBER),
    "table_row_count_to_be_between": ExpectationType((), _RANGE),
    "table_row_count_to_equal": ExpectationType(("value",)),
}
# Great Expectations cuts off what stands behind the point there
WHOLE_NUMBERS: Final = frozenset({"column_value_lengths_to_be_between", "table_row_count_to_be_between"})


def _is_pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    return pattern


_Number = StrictBool | Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Figure = Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Text = Annotated[str, Field(strict=True)]
Scalar = _Text | _Number
_Pattern = Annotated[_Text, AfterValidator(_is_pattern)]
_Share = Annotated[float, Field(strict=True, ge=0, le=1)]


class _Quantiles(Strict):
    """Quantiles from 0 to 1, and a range for each; null leaves a side open."""

    quantiles: list[_Share] = Field(min_length=1)
    value_ranges: list[tuple[_Figure | None, _Figure | None]]

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if len(self.quantiles) != len(self.value_ranges):
            raise ValueError(f"expected a range for each of {len(self.quantiles)} quantiles")
        if any(low is not None and high is not None and low > high for low, high in self.value_ranges):
            raise ValueError("a range ends below its beginning")
        return self


# Argument → what it may be.
ARGUMENTS: Final[dict[str, TypeAdapter[Any]]] = {
    **dict.fromkeys(("column", "column_A", "column_B"), TypeAdapter[Any](_Text)),
    **dict.fromkeys(("min_value", "max_value", "sum_total"), TypeAdapter[Any](_Figure)),
    **dict.fromkeys(("threshold", "multiplier"), TypeAdapter[Any](Annotated[_Figure, Field(gt=0)])),
    **dict.fromkeys(
        ("strict_min", "strict_max", "double_sided", "or_equal", "ties_okay"), TypeAdapter[Any](StrictBool)
    ),
    "column_list": TypeAdapter(Annotated[list[_Text], Field(min_length=2)]),
    "mostly": TypeAdapter(Annotated[_Share, Field(gt=0)]),  # 0 of them is true of any table
    "value": TypeAdapter(Annotated[int, Field(strict=True, ge=0)]),
    "value_set": TypeAdapter(Annotated[list[Scalar], Field(min_length=1)]),
    "value_pairs_set": TypeAdapter(Annotated[list[tuple[Scalar, Scalar]], Field(min_length=1)]),
    "regex": TypeAdapter(_Pattern),
    "regex_list": TypeAdapter(Annotated[list[_Pattern], Field(min_length=1)]),
    "match_on": TypeAdapter(Literal["any", "all"]),
    "method": TypeAdapter(Literal["iqr", "std"]),
    "quantile_ranges": TypeAdapter(_Quantiles),
}
