"""An inspector whose parser ends the process by a signal, for some of what it is given: what a bad decoder does."""

import signal
import sys

from cv_assets.domain.digests import bytes_digest
from resources import inspecting, reading_back

TABLES, BLOBS = (said.split(",") for said in (sys.argv[1:] if __name__ == "__main__" else ("", "")))
read_stored = inspecting.read_stored


def die_at_a_table(data, name, key):
    if name in TABLES:
        signal.raise_signal(signal.SIGSEGV)
    return read_stored(data, name, key)


def die_at_a_blob(data):
    found = bytes_digest(data)
    if found in BLOBS:
        signal.raise_signal(signal.SIGBUS)  # to this thread, as a fault would
    return found


if __name__ == "__main__":
    inspecting.read_stored = die_at_a_table
    reading_back.bytes_digest = die_at_a_blob
    inspecting.main()
