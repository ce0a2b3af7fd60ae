"""Every error that the project raises on purpose, as one tree.

    CvAssetsError
    ├── ConfigurationError   a setting, dataset file or argument cannot be used (exit code 2)
    ├── SourceError             the uploads are not there, not readable, or empty
    │   ├── SourceUnavailable   the source gave no answer for as long as one waits
    │   └── SourceChanged       a file that a version refers to is no longer the file that was hashed
    │       └── SourceGone      it is not there any more
    ├── StoreError              the store did not do what was asked
    │   ├── StoreUnavailable    the store gave no answer for as long as one waits
    │   ├── StoreRefused        credentials, permission, bucket or clock are not accepted
    │   ├── CommitStateUnknown  a create-only write got no answer, and cannot be read back
    │   ├── CorruptObject       an object's bytes are not the bytes that were written
    │   │   └── ObjectsLost     the disk took them, and has not kept them
    │   └── VersionConflict     a version's record exists with other content
    ├── EngineError             a worker process cannot be started, or ends before it answers
    └── GateNotPassed           a version may not go on: a gate is missing, stale or failed

TRANSIENT names those that may be gone when the same work is tried again.

Each message says what was expected, what was found and what to do.
"""

from typing import Final


class CvAssetsError(Exception):
    """Root of the tree; catching it catches no bug."""


class ConfigurationError(CvAssetsError):
    """A setting, dataset file or argument cannot be used."""


class SourceError(CvAssetsError):
    """The uploads are not there, not readable, or empty."""


class SourceUnavailable(SourceError):
    """The source gave no answer for as long as one waits."""


class SourceChanged(SourceError):
    """A file that a version refers to is no longer the file that was hashed."""


class SourceGone(SourceChanged):
    """A file that a version refers to is not there any more."""


class StoreError(CvAssetsError):
    """The store did not do what was asked."""


class StoreUnavailable(StoreError):
    """The store gave no answer for as long as one waits."""


class StoreRefused(StoreError):
    """Credentials, permission, bucket or clock are not accepted; another try would meet the same answer."""


class CommitStateUnknown(StoreError):
    """A create-only write got no answer, and cannot be read back: it may have landed. Nothing is deleted."""


class CorruptObject(StoreError):
    """An object's bytes are not the bytes that were written."""


class ObjectsLost(CorruptObject):
    """The disk took objects, and has not kept them; `keys` says which."""

    def __init__(self, message: str, *, keys: list[str]) -> None:
        super().__init__(message)
        self.keys = keys


class VersionConflict(StoreError):
    """A record that is written once exists with other content."""


class EngineError(CvAssetsError):
    """A worker process cannot be started, or ends before it answers."""


class GateNotPassed(CvAssetsError):
    """A version may not go on: a gate is missing, stale or failed."""


TRANSIENT: Final = (SourceUnavailable, StoreUnavailable, CommitStateUnknown)
