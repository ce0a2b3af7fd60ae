"""Every rule, in the order in which people read of them: images, then annotations, then the dataset. A new rule is added here."""

import math
from typing import Final

from cv_assets.domain.quality.rule import Rule
from cv_assets.domain.quality.rules import (
    animated,
    blurry,
    box_covers_image,
    box_out_of_bounds,
    box_without_area,
    chained_duplicates,
    class_imbalance,
    class_missing,
    cmyk,
    colour_profile,
    constant_border,
    dark,
    declared_size_differs,
    duplicate_box,
    duplicates_disagree,
    exact_duplicate,
    exif_rotated,
    extension_differs,
    file_without_label,
    gps_present,
    grayscale_among_colour,
    image_without_group,
    invalid_exif,
    label_differs_by_case,
    label_with_space,
    label_without_file,
    letterboxed,
    light,
    low_information,
    names_collide,
    near_duplicate,
    odd_aspect_ratio,
    odd_box_size,
    odd_size,
    rare_class,
    taxonomy_differs,
    tiny_box,
    too_few_groups,
    transparent,
    truncated,
    unknown_label,
    unusual_bit_depth,
    unusual_mode,
)
from schemas.codes import FindingCode
from schemas.datasets import DatasetConfig
from schemas.errors import ConfigurationError

RULES: Final[dict[FindingCode, Rule]] = {
    module.RULE.code: module.RULE
    for module in (
        truncated,
        exact_duplicate,
        near_duplicate,
        dark,
        light,
        blurry,
        low_information,
        grayscale_among_colour,
        odd_size,
        odd_aspect_ratio,
        letterboxed,
        constant_border,
        animated,
        unusual_mode,
        unusual_bit_depth,
        cmyk,
        transparent,
        colour_profile,
        exif_rotated,
        invalid_exif,
        gps_present,
        extension_differs,
        image_without_group,
        box_without_area,
        box_out_of_bounds,
        tiny_box,
        box_covers_image,
        duplicate_box,
        odd_box_size,
        declared_size_differs,
        duplicates_disagree,
        unknown_label,
        label_with_space,
        label_differs_by_case,
        file_without_label,
        label_without_file,
        taxonomy_differs,
        class_missing,
        rare_class,
        class_imbalance,
        too_few_groups,
        chained_duplicates,
        names_collide,
    )
}


def check_rules(config: DatasetConfig) -> None:
    """Raises ConfigurationError for a threshold that a rule cannot use: it has none, or the value means nothing to it."""
    for code, settings in config.quality.rules.items():
        rule, value = RULES[code], settings.threshold
        if value is None:
            continue
        where = f"dataset {config.name}: quality.rules.{code}: the threshold is {value:g}"
        if rule.threshold is None:
            raise ConfigurationError(
                f"{where}, but this rule has none; leave it out, or write `{code}: false` to leave out the rule"
                + (
                    "; how near is said by quality.near_duplicates.max_distance_bits"
                    if code == "near-duplicate"
                    else ""
                )
            )
        low, high = rule.bounds
        if not low <= value <= high:
            wanted = f"of at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
            raise ConfigurationError(
                f"{where}; expected a number {wanted} ({rule.unit}), such as the default {rule.threshold:g}"
            )
