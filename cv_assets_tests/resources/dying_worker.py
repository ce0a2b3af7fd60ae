"""A decoding worker that a decoder ends by a signal, for one image: what a bad library does, each time it meets it."""

import hashlib
import signal
import sys

from resources import worker

decode = worker.WORK["probe"]


def die_or_decode(data, limits, arguments):
    if hashlib.sha256(data).hexdigest() == DEADLY:
        signal.raise_signal(signal.SIGSEGV)
    return decode(data, limits, arguments)


if __name__ == "__main__":
    DEADLY = sys.argv.pop(1)  # what is left are the arguments of the worker itself
    worker.WORK["probe"] = die_or_decode
    worker.main()
