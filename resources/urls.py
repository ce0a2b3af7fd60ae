"""What a URL of a store or a source names, by its form alone: nothing is asked whether it is there."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from schemas.errors import ConfigurationError

REMOTE_SCHEMES: Final = frozenset({"s3", "s3a", "gs", "az", "memory"})
# below obstore, anything else ends in a panic; old buckets have longer names than new ones, with capitals and underscores
_BUCKET: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}")


def is_remote(url: str) -> bool:
    """Is this the URL of a store that is asked over the network, or held in memory?"""
    scheme, colon, _ = url.partition(":")
    return bool(colon) and scheme.lower() in REMOTE_SCHEMES


def require_form(url: str, *, setting: str) -> None:
    """Raises ConfigurationError if nothing can be at this URL. It is read and no more: no store is asked."""
    if is_remote(url):
        remote_parts(url, setting)
    else:
        local_root(url, setting=setting)


def local_root(url: str, *, setting: str) -> Path:
    """The folder that a local path or `file://` URL names. Raises ConfigurationError for any other scheme or a slip in one."""
    parts = _split(url, setting)
    slip = re.match(r"(?i)(s3a?|gs|az|file|memory|https?)(:/{0,1}[^/]|//)", url)
    elsewhere = parts.scheme == "file" and parts.netloc not in {"", "localhost"}  # file://tmp would be the root folder
    if parts.scheme not in {"", "file"} or slip or elsewhere or (not parts.scheme and "://" in url):
        raise ConfigurationError(
            f"expected {setting} to be a local path, file:///FOLDER or s3://BUCKET/PREFIX; found {without_secrets(url)!r}"
        )
    if parts.scheme == "file":
        _refuse_endings(url, setting)
    try:
        return Path(unquote(parts.path) if parts.scheme == "file" else url).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigurationError(
            f"expected {setting} to name the home folder of a user, found {url!r}; correct it"
        ) from error


def remote_parts(url: str, setting: str) -> SplitResult:
    """A remote URL in parts, of which the bucket and the prefix can be such. Raises ConfigurationError for any other."""
    parts = _split(url, setting)
    # a secret may hold a slash, with which the place of the bucket seems to end
    if "@" in parts.netloc or ":" in parts.netloc:
        raise ConfigurationError(
            f"expected {setting} without credentials, found some in it; give them by AWS_PROFILE or AWS_ACCESS_KEY_ID"
        )
    if parts.scheme == "memory":
        return parts
    if not parts.netloc:
        raise ConfigurationError(
            f"expected {setting} to name a bucket, such as s3://BUCKET/PREFIX; found {without_secrets(url)!r}"
        )
    _refuse_endings(url, setting)
    if parts.scheme in {"s3", "s3a"} and not _BUCKET.fullmatch(parts.netloc):
        raise ConfigurationError(
            f"expected {setting} to name a bucket by letters, digits, dots, dashes and underscores; found {parts.netloc!r}"
        )
    prefix = parts.path.strip("/")
    if prefix and {"", ".", ".."} & set(prefix.split("/")):
        raise ConfigurationError(
            f"expected {setting} with folders that have names, none of them . or ..; found {without_secrets(url)!r}"
        )
    return parts


def require_apart(url: str, store_url: str) -> None:
    """Raise ConfigurationError if a store lies among the uploads of a source: what it writes would be taken for uploads.

    And for a local one with a slip in it.
    """
    if is_remote(url) and is_remote(store_url):
        inside = _spelled(store_url).startswith(_spelled(url))
    elif is_remote(url) or is_remote(store_url):
        inside = False
    else:
        folder = local_root(store_url, setting="CV_ASSETS_STORE").resolve()
        inside = folder.is_relative_to(local_root(url, setting="source.url").resolve())
    if inside:
        raise ConfigurationError(
            f"expected a store outside of source.url {url}, found {store_url} in it; move either, and set CV_ASSETS_STORE"
        )


def without_secrets(url: str) -> str:
    """A URL to be shown: neither what stands before an @ nor what follows a ? or #."""
    return re.sub(r"(?s)([?#]).+", r"\1…", re.sub(r"(?s)(://)?.*@", r"\1…@", url))


def _split(url: str, setting: str) -> SplitResult:
    """A URL in parts; one with blanks at its ends would name another, empty place."""
    if url != url.strip() or "\0" in url:
        raise ConfigurationError(
            f"expected {setting} without blanks at its ends, found {without_secrets(url)!r}; take them off"
        )
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ConfigurationError(
            f"expected {setting} to be a local path, file:///FOLDER or s3://BUCKET/PREFIX; found {without_secrets(url)!r}"
        ) from error


def _refuse_endings(url: str, setting: str) -> None:
    """A URL ends at `?` or `#`, a line break is left out of it: what is written would be lost without a word."""
    if found := re.search(r"[?#\t\r\n]", url):
        raise ConfigurationError(
            f"expected {setting} without ? and #, which end the path of a URL, and line breaks; found {found[0]!r} in it. "
            "Use a folder or prefix without them (of a local folder, give the path alone)"
        )


def _spelled(url: str) -> str:
    """A URL as it compares to others: `S3://` and `s3a://` lead where `s3://` does."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.lower().replace('s3a', 's3')}://{rest.rstrip('/')}/"
