"""Every error that the project raises on purpose, as one tree.

    CvAssetsError
    ├── ConfigurationError   a setting, dataset file or argument cannot be used (exit code 2)
    ├── SourceError          the uploads are not there, not readable, or empty
    ├── StoreError           the store did not do what was asked
    │   ├── CorruptObject    an object's bytes are not the bytes that were written
    │   └── VersionConflict  a version's record exists with other content
    ├── EngineError          decoding workers cannot be started
    └── GateNotPassed        a version may not go on: a gate is missing, stale or failed

Each message says what was expected, what was found and what to do.
"""


class CvAssetsError(Exception):
    """Root of the tree; catching it catches no bug."""


class ConfigurationError(CvAssetsError):
    """A setting, dataset file or argument cannot be used."""


class SourceError(CvAssetsError):
    """The uploads are not there, not readable, or empty."""


class StoreError(CvAssetsError):
    """The store did not do what was asked."""


class CorruptObject(StoreError):
    """An object's bytes are not the bytes that were written."""


class VersionConflict(StoreError):
    """A record that is written once exists with other content."""


class EngineError(CvAssetsError):
    """Decoding workers cannot be started."""


class GateNotPassed(CvAssetsError):
    """A version may not go on: a gate is missing, stale or failed."""
