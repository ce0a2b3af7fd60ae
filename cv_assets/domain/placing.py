"""Where each file of a version goes in a folder of its own: under the uploads' paths, or by class. Nothing is written here.

Paths and class names come from uploads and are not to be trusted: a path that could lead out of the folder is refused,
and a class name is spelled so that it is one plain folder name.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from cv_assets.domain.formats import EXTENSIONS
from cv_assets.domain.packing.plan import class_names
from schemas.errors import ConfigurationError

# what a placing reads of a version
PLACED: Final = ("raw_images", "manifest", "quarantine", "splits")
# the root of a checkout holds names of our own
OURS: Final = ".cv-assets"
LONGEST_NAME_BYTES: Final = 255
_UNSAFE: Final = r"\x00|(?:^|/)\.{0,2}(?:/|$)"
_ENCODED: Final = re.compile(r"[\x00-\x1f\x7f/\\%:]|^[. ]|[. ]$")
_FILE: Final = ("path", "sha256", "size_bytes")

Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Placing:
    """Files as rows of path, sha256 and size_bytes; class folders with the class that each stands for; images left out.

    The folders are those of all classes of the version; `absent` are classes of which there is no file.
    """

    files: pl.DataFrame
    classes: dict[str, str]
    absent: list[str]
    left_out: int


def place_as_uploaded(tables: Tables, splits: Iterable[str], *, quarantined: bool) -> Placing:
    """Images and annotation files under the paths that they were uploaded under.

    With `splits`, images of those alone; with `quarantined`, also rejected files whose bytes are kept. Raises
    ConfigurationError for a path that cannot be one below a folder, or for a split that there is not.
    """
    kept = tables["raw_images"].filter(pl.col("sha256").is_not_null())
    is_image, rejected = pl.col("role") == "image", tables["quarantine"].select("path")
    parts = [
        kept.filter(~is_image & pl.col("reason").is_null()),
        kept.filter(is_image & pl.col("reason").is_null())
        .join(rejected, on="path", how="anti")
        .join(_chosen(tables, splits), left_on="sha256", right_on="image_id", how="semi"),
    ]
    if quarantined:
        parts += [kept.filter(~is_image & pl.col("reason").is_not_null()), kept.join(rejected, on="path", how="semi")]
    files = pl.concat([part.select(_FILE) for part in parts]).unique("path").sort("path")
    _refuse_unsafe(files["path"])
    return Placing(files, {}, [], 0)


def place_by_class(tables: Tables, splits: Iterable[str]) -> Placing:
    """Images as CLASS/IMAGE_ID.EXT; those with no class, or with several, are left out.

    Raises ConfigurationError if that leaves none, or for a split that there is not.
    """
    images = tables["manifest"].join(_chosen(tables, splits), on="image_id", how="semi")
    single = images.filter(pl.col("labels").list.len() == 1).with_columns(label=pl.col("labels").list.first())
    if single.is_empty():
        raise ConfigurationError(
            f"expected images of one class each, found none among {images.height}; use --layout source"
        )
    # of the whole version: loaders number the folders that they find, and a split may lack some
    folders = {label: folder_of_class(label) for label in class_names(tables["manifest"])}
    absent = sorted(folders.keys() - set(single["label"]))
    extension = pl.col("format").replace_strict(EXTENSIONS, return_dtype=pl.String)
    path = pl.concat_str(pl.col("label").replace_strict(folders), pl.lit("/"), "image_id", pl.lit("."), extension)
    files = single.select(path.alias("path"), pl.col("image_id").alias("sha256"), "size_bytes").sort("path")
    return Placing(files, {folder: label for label, folder in folders.items()}, absent, images.height - single.height)


def folder_of_class(name: str) -> str:
    """A class name as one folder name: `%XX` for each byte of what is no plain character there; too long a name is cut."""
    encoded = _ENCODED.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name) or "%"
    if encoded == "classes.json":
        encoded = "classes%2Ejson"
    if len(encoded.encode()) <= LONGEST_NAME_BYTES:
        return encoded
    short = encoded.encode()[:200].decode(errors="ignore")
    return f"{short}%~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def find_folded(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of files or folders that are one where the file system takes no note of case or of Unicode's spellings."""
    first: dict[str, str] = {}
    pairs: dict[tuple[str, str], None] = {}
    every: dict[str, None] = {}
    for path in paths:
        every[path] = None
        folder = path.rpartition("/")[0]
        while folder and folder not in every:
            every[folder] = None
            folder = folder.rpartition("/")[0]
    for name in every:
        other = first.setdefault(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()), name)
        if other != name:
            pairs[other, name] = None
    return list(pairs)


def _chosen(tables: Tables, splits: Iterable[str]) -> pl.DataFrame:
    dealt, wanted = tables["splits"].select("image_id", "split"), list(splits)
    there = dealt["split"].drop_nulls().unique().sort().to_list()
    if unknown := sorted(set(wanted) - set(there)):
        raise ConfigurationError(f"--split: expected splits among {', '.join(there)}; found {', '.join(unknown)}")
    images = tables["manifest"].select("image_id")
    if not wanted:
        return images
    return images.join(dealt.filter(pl.col("split").is_in(wanted)), on="image_id", how="semi")


def _refuse_unsafe(paths: pl.Series) -> None:
    longest = paths.str.split("/").list.eval(pl.element().str.len_bytes()).list.max()
    reserved = paths.str.starts_with(OURS)
    unsafe = paths.filter(paths.str.contains(_UNSAFE) | (longest > LONGEST_NAME_BYTES) | reserved)
    folders = paths.str.extract_all("/").list.len()  # only a path that is a folder of another can be in the way
    in_the_way = paths.filter(paths.is_in(_folders(paths).implode())) if folders.max() else paths.head(0)
    odd = [*unsafe.head(5), *in_the_way.head(5)]
    if odd:
        raise ConfigurationError(
            f"expected paths that name files below one folder; found {', '.join(map(repr, odd))}"
            f"{' and more' if len(unsafe) + len(in_the_way) > len(odd) else ''}. Use --layout classes"
        )


def _folders(paths: pl.Series) -> pl.Series:
    """Every folder above some path."""
    found = [paths.str.extract(r"(?s)^(.*)/", 1).drop_nulls().unique()]
    while len(found[-1]):
        found.append(found[-1].str.extract(r"(?s)^(.*)/", 1).drop_nulls().unique())
    return pl.concat(found).unique()
