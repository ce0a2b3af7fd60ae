"""Names for versions of a dataset: `latest`, tags, and pins. What a version holds is not said here."""

import re
from collections.abc import Collection, Iterable

from cv_assets.domain.digests import bytes_digest
from cv_assets.domain.versions import LATEST, check_version, sort_versions
from resources.latest_log import LatestLog
from resources.object_store import ObjectStore
from resources.records import AnyRecord, commit_key, find_record, is_removed, list_versions
from schemas.errors import ConfigurationError, VersionConflict
from schemas.releases import CommitRecord, LatestEntry, Pin, Tag


class Refs:
    """The names of one dataset's versions."""

    def __init__(self, store: ObjectStore, dataset: str) -> None:
        self._store, self.dataset, self._log = store, dataset, LatestLog(store, dataset)
        self._prefix = f"datasets/{dataset}/refs"
        self._where = f"; the store is {store.url}"  # it may not be the one that was meant

    @property
    def store(self) -> ObjectStore:
        """The store that keeps the names."""
        return self._store

    def latest(self) -> str | None:
        """The version that `latest` names, or None if it was never set. Raises CorruptObject, StoreError."""
        last = self._log.last()
        return last.version if last else None

    def history(self) -> list[LatestEntry]:
        """Every move of `latest`, oldest first."""
        return self._log.history()

    def close_gaps(self) -> list[int]:
        """Write into the place of each lost move of `latest` that it is lost, and return their numbers."""
        return self._log.close_gaps()

    def advance(self, version: str, *, later: Collection[str] = ()) -> None:
        """Let `latest` name a version that was just committed, unless it has done so before, or has named a `later` one.

        So a rerun of an old version moves nothing, also not after a rollback, and neither does one that ends late.
        """
        seen, enough = self.history(), {version, *later}
        if enough.isdisjoint(entry.version for entry in seen):
            # the first number that this look did not see: another writer of the same version is met there
            self._log.append(version, "committed", len(seen) + 1, until=lambda entry: entry.version in enough)

    def move_latest(self, version: str, reason: str = "moved") -> None:
        """Let `latest` name a committed version: a rollback, or the way forward. Raises ConfigurationError, CorruptObject."""
        self._require_committed(version)
        before, number = self.latest(), self._log.newest() + 1
        self._log.append(version, reason, number)
        if self._is_removed(version):  # just now, by a collector that had not seen this move
            self._log.append(before or version, f"{version} was removed", number + 1)
            raise self._removed(version)

    def tag(self, name: str, version: str, *, move: bool = False) -> None:
        """Give a committed version a name. Raises ConfigurationError if the name is taken, unless it is to `move`.

        And if it differs from another tag by case alone; CorruptObject if its commit record is damaged.
        """
        self._check_tag(name)
        tags = self.tags()
        like = [other for other in tags if other != name and other.casefold() == name.casefold()]
        if like and name not in tags:
            raise ConfigurationError(
                f"expected a tag of {self.dataset} that differs from {like[0]} by more than case, found {name}: on some disks they "
                f"are one. Take another name, or move {like[0]} with --move"
            )
        self._require_committed(version)
        key, data = self._tag_key(name), Tag(name=name, version=version).to_bytes()
        if move:
            self._put(key, data)
        else:
            try:
                self._store.put_new(key, data)
            except VersionConflict as error:
                raise ConfigurationError(
                    f"expected {name!r} to be a free name; it is a tag of {self.dataset}@{self.tags().get(name)}. "
                    "Take another name, or move it with --move"
                ) from error
        moved = Tag(name=name, version=tags[name]) if move and name in tags else None
        self._keep_unless_removed(key, version, before=moved)

    def untag(self, name: str) -> None:
        """Take a name back. Raises ConfigurationError if there is no such tag."""
        tags = self.tags()
        if name not in tags:
            raise ConfigurationError(f"expected a tag among {_among(tags)}; found {name!r}")
        self._store.delete(self._tag_key(name))

    def tags(self) -> dict[str, str]:
        """Tag → version, sorted."""
        return {tag.name: tag.version for tag in self._every(Tag, "tags")}

    def pin(self, version: str, reason: str) -> None:
        """Keep a version whatever its age; it may be open still. Raises ConfigurationError if there is none."""
        self._require_known(version)
        key = self._pin_key(version)
        self._put(key, Pin(version=version, reason=reason).to_bytes())
        self._keep_unless_removed(key, version)

    def _put(self, key: str, data: bytes) -> None:
        """Write a record that may be there, and make it durable: a collector of garbage goes by it."""
        self._store.put(key, data)
        self._store.flush({key: bytes_digest(data)})

    def unpin(self, version: str) -> None:
        """Release a pin. Raises ConfigurationError if there is none."""
        pins = self.pins()
        if version not in pins:
            raise ConfigurationError(f"expected a pinned version among {_among(pins)}; found {version!r}")
        self._store.delete(self._pin_key(version))

    def pins(self) -> dict[str, str]:
        """Pinned version → reason."""
        return {pin.version: pin.reason for pin in self._every(Pin, "pins")}

    def names_of(self, version: str) -> list[str]:
        """`latest` and the tags that name a version."""
        named = [LATEST] if self.latest() == version else []
        return named + [name for name, target in self.tags().items() if target == version]

    def require_free(self, version: str) -> None:
        """Raise ConfigurationError for a name that no version can have from now on: of a removed one, or of a tag."""
        if self._is_removed(version):
            raise self._removed(version)
        tag = find_record(self._store, Tag, self._tag_key(version))
        if tag is not None:
            raise ConfigurationError(
                f"expected a free name for a version of {self.dataset}; {version!r} is a tag of {self.dataset}@{tag.version}. "
                f"Take another, or take the tag back with `cv-assets tag {self.dataset}@{tag.version} {version} --delete`"
            )

    def require_distinct(self, version: str) -> None:
        """Raise ConfigurationError for a new name that differs from another version's by case alone: on some disks they are one."""
        versions = list_versions(self._store, self.dataset)
        like = [name for name in versions if name != version and name.casefold() == version.casefold()]
        if like and version not in versions:
            raise ConfigurationError(
                f"expected a name for a version of {self.dataset} that differs from {like[0]} by more than case, found "
                f"{version}; take another, or name {like[0]}"
            )

    def resolve(self, name: str | None) -> str:
        """The version behind `latest` (or nothing), a version's name or a tag.

        Raises ConfigurationError, which lists what there is; StoreError if a record cannot be read.
        """
        if name in {None, "", LATEST}:
            return self._resolve_latest()
        assert name is not None
        versions, tags = list_versions(self._store, self.dataset), self.tags()
        if name in versions and name in tags:
            raise ConfigurationError(
                f"{name!r} is both a version and a tag of {self.dataset}: take the tag back with "
                f"`cv-assets tag {self.dataset}@{tags[name]} {name} --delete`"
            )
        found = tags.get(name, name)
        if found not in versions:
            raise ConfigurationError(
                f"expected a version of {self.dataset} among {_among(sort_versions(versions))}, "
                f"or a tag among {_among([LATEST, *tags])}; found {name[:80]!r}{self._where}"
            )
        if self._is_removed(found):
            raise self._removed(found)
        return found

    def _resolve_latest(self) -> str:
        found = self.latest()
        if found is not None:
            return found
        versions = sort_versions(list_versions(self._store, self.dataset))
        committed = [version for version in versions if self._is_committed(version)]
        if not committed:
            cure = f"make one with `cv-assets run {self.dataset}`"
            raise ConfigurationError(f"dataset {self.dataset} has no committed version; {cure}{self._where}")
        raise ConfigurationError(
            f"no version of {self.dataset} is named latest, among {_among(committed)}; name one, such as with "
            f"`cv-assets rollback {self.dataset} {committed[-1]}`"
        )

    def _every(self, kind: type[AnyRecord], folder: str) -> list[AnyRecord]:
        keys = self._store.keys(f"{self._prefix}/{folder}")
        # a desktop leaves files of its own where somebody looks
        found = (find_record(self._store, kind, key) for key in keys if re.search(r"/[^./][^/]*\.json\Z", key))
        return [record for record in found if record is not None]  # one may be taken back meanwhile

    def _keep_unless_removed(self, key: str, version: str, *, before: Tag | None = None) -> None:
        """Take a name back if its version was removed at the same moment; a tag that was moved stays as it was `before`.

        The collector writes its tombstone and then looks at the names again; here the name is written first. So one of
        the two sees the other.
        """
        if self._is_removed(version):
            self._store.delete(key) if before is None else self._put(key, before.to_bytes())
            raise self._removed(version)

    def _require_known(self, version: str) -> None:
        versions = list_versions(self._store, self.dataset)
        if version not in versions:
            known = _among(sort_versions(versions))
            raise ConfigurationError(
                f"expected a version of {self.dataset} among {known}; found {version[:80]!r}{self._where}"
            )
        if self._is_removed(version):
            raise self._removed(version)

    def _require_committed(self, version: str) -> None:
        self._require_known(version)
        # read, and not only looked for: no name is given to a version that no one can open
        if find_record(self._store, CommitRecord, commit_key(self.dataset, version)) is None:
            raise ConfigurationError(
                f"expected a committed version, found {self.dataset}@{version} open; finish it with "
                f"`cv-assets run {self.dataset} --version {version}`"
            )

    def _is_committed(self, version: str) -> bool:
        return self._store.look(commit_key(self.dataset, version)) is not None

    def _is_removed(self, version: str) -> bool:
        return is_removed(self._store, self.dataset, version)

    def _removed(self, version: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.dataset}@{version} was removed by `cv-assets gc`, and its name is not used again"
        )

    def _check_tag(self, name: str) -> None:
        taken = name != LATEST and check_version(name) in list_versions(self._store, self.dataset)
        if name == LATEST or taken or re.fullmatch(r"[vV]\d+", name):
            raise ConfigurationError(
                f"expected a tag that cannot be taken for a version; found {name!r}, which names "
                + ("the newest release: move it with `cv-assets rollback`" if name == LATEST else "a version")
            )

    def _tag_key(self, name: str) -> str:
        return f"{self._prefix}/tags/{name}.json"

    def _pin_key(self, version: str) -> str:
        return f"{self._prefix}/pins/{check_version(version)}.json"


def _among(names: Iterable[str]) -> str:
    return ", ".join(names) or "(none yet)"
