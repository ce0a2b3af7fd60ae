"""What a power cut would leave: a model of a disk that keeps only what was flushed, fed with the calls of a publish."""

from collections.abc import Iterable
from pathlib import Path

from cv_assets_tests.faults.syscalls import FLUSHES, Call


class Disk:
    """Which contents and which names below `root` have reached the disk for sure."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.contents: set[Path] = set()
        self.names: set[Path] = set()
        self._fresh: set[Path] = set()  # names since the last flush of their folder
        self._unflushed: set[Path] = set()

    def follow(self, call: Call) -> None:
        """Take note of a call that succeeds."""
        if call.name == "syncfs":
            self.contents |= self._unflushed
            self.names |= self._fresh
            self._unflushed.clear()
            self._fresh.clear()
        elif call.name in FLUSHES:
            self._flush(call.paths[0])
        elif call.kind in {"rename", "link"}:
            source, target = call.paths
            (self.contents if source in self.contents else self._unflushed).add(target)
            if source not in self.contents:
                self.contents.discard(target)
            self._name(target)
        elif call.kind == "mkdir" and call.paths[0] not in self.names:
            self._name(call.paths[0])

    def lacks(self, paths: Iterable[Path]) -> list[str]:
        """What a power cut now could take of these files: their bytes, their name, or a folder above them."""
        found: set[str] = set()
        for path in paths:
            if path not in self.contents:
                found.add(f"bytes of {path.relative_to(self._root)}")
            above = [folder for folder in path.parents if folder != self._root and folder.is_relative_to(self._root)]
            found |= {f"name {name.relative_to(self._root)}" for name in (path, *above) if name not in self.names}
        return sorted(found)

    def _flush(self, path: Path) -> None:
        self.contents.add(path)
        self._unflushed.discard(path)
        inside = {name for name in self._fresh if name.parent == path}
        self.names |= inside
        self._fresh -= inside

    def _name(self, path: Path) -> None:
        self.names.discard(path)
        self._fresh.add(path)
