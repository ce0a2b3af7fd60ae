"""Which objects a partial look takes: a share of all, another one for each seed. Nothing is read here."""

import hashlib
import math
from typing import Final

_STEPS: Final = 1_000_000


def in_sample(key: str, share: float, seed: int) -> bool:
    """Is an object in the sample of this seed?

    Seeds that follow each other take neighbouring windows of one circle: as many of them as the share needs to make a
    whole have taken every object, whichever seed was first.
    """
    width = math.ceil(share * _STEPS)  # never less, or so many windows leave a gap
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % _STEPS
    return (place - seed * width) % _STEPS < width
