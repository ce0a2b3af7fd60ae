"""The settings that come from the environment, each with a safe default below the project's root folder."""

import os
from pathlib import Path
from typing import Final

from schemas.errors import ConfigurationError

# more would only wait for each other, and each takes memory
MOST_WORKERS_A_CORE: Final = 8
PROJECT_ROOT: Final = Path(__file__).resolve().parent.parent


def datasets_folder() -> Path:
    """Folder of the dataset files: CV_ASSETS_DATASETS, else `datasets/`."""
    return Path(os.environ.get("CV_ASSETS_DATASETS") or PROJECT_ROOT / "datasets").absolute()


def store_url() -> str:
    """URL of the object store: CV_ASSETS_STORE, else the folder `store/`, which git ignores."""
    return os.environ.get("CV_ASSETS_STORE") or str(PROJECT_ROOT / "store")


def worker_count() -> int:
    """Decoding workers: CV_ASSETS_WORKERS, else 0, which means one a core. Raises ConfigurationError for anything else."""
    given = os.environ.get("CV_ASSETS_WORKERS") or "0"
    most = MOST_WORKERS_A_CORE * (os.cpu_count() or 1)
    if not given.isdecimal() or int(given) > most:
        raise ConfigurationError(
            f"expected CV_ASSETS_WORKERS to be a whole number up to {most}, found {given[:20]!r}; correct or unset it"
        )
    return int(given)


def use_dagster_home() -> Path:
    """The one Dagster home of command line and UI: DAGSTER_HOME, else `.dagster/`; set for Dagster to find.

    Raises ConfigurationError for one that cannot be used.
    """
    home = Path(os.environ.setdefault("DAGSTER_HOME", str(PROJECT_ROOT / ".dagster")))
    if not home.is_absolute():
        raise ConfigurationError(f"expected DAGSTER_HOME to be an absolute path, found {str(home)!r}; correct it")
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"expected DAGSTER_HOME to name a folder, found {home}: {error.strerror}; correct it"
        ) from error
    return home
