"""Checkouts that end by SIGKILL at each of their steps, one after the other: `killed_checkouts.py FOLDER HOW`.

Each is a fork of this process, which has opened no store itself. It leaves FOLDER/N with the store and what was laid out
when it died at its N-th link, rename or unlink; the last one is not killed, as it has no step N. An exception in the place
of a kill would let `except` and `finally` clean up.
"""

import os
import signal
import sys
from itertools import count
from pathlib import Path

from cv_assets_tests.resources.made import make_version
from resources.checkout import check_out
from resources.laying_out import Wish
from resources.object_store import open_store

ONE = {
    "circle/a.png": b"a round one",
    "circle/sub/b.png": b"another",
    "square/c.png": b"a square",
    "labels.csv": b"x,y",
}
TWO = {**ONE, "circle/a.png": b"a rounder one", "star/d.png": b"a star"}
TWO.pop("circle/sub/b.png")


def version(store, name="v1", files=ONE, **more):
    return make_version(store, name, files, annotation_files=["labels.csv"], **more)


def die_at(step):
    """From now on, end this process before it makes its so-and-so-many-th step."""
    done = count(1)
    for name in ("link", "rename", "unlink"):
        call = getattr(os, name)

        def end(*arguments, _call=call, **more):
            if next(done) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return _call(*arguments, **more)

        setattr(os, name, end)


def check_out_twice(place, how, step):
    """The first version from beginning to end, and the other one up to a step."""
    store = open_store(str(place / "store"))
    one, two = version(store), version(store, "v2", TWO)
    check_out(one, place / "out", Wish(how=how))
    die_at(step)
    check_out(two, place / "out", Wish(how=how))


def main(folder, how):
    for step in count(1):
        child = os.fork()
        if child == 0:
            try:
                check_out_twice(folder / str(step), how, step)
            finally:
                os._exit(0)
        if os.WTERMSIG(os.waitpid(child, 0)[1]) != signal.SIGKILL:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
