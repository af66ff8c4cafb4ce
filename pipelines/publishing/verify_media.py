"""Whether what a corpus calls an image or a video is one, and whether an image shows what was judged."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from corpus.decoding import UndecodableError
from corpus.pixels import Pixels
from pipelines.publishing.pictures import judged_as, near, shown_hash
from video.budget import Budget
from video.integrity import mp4_fault

_MOST_WORK_S = 600.0  # on a video
_FLAT = 3.0  # standard deviation of grey levels below which a picture's hash is one of its noise


@dataclass(frozen=True)
class Seen:
    """What a reader made of an image."""

    fault: str = ""
    damaged: bool = False  # it was judged at a fraction of its size, where its damage looks different


def see(content: bytes, phash: str, rewritten: bool, decode: Callable[[bytes], Pixels]) -> Seen:
    """Decode an image to its last pixel and hold it against the hash of what was judged ("": nothing was).

    A JPEG that is published as it was stored may differ if inspection finds that very hash in it.
    """
    try:
        pixels = decode(content)
    except UndecodableError as error:
        return Seen(f"does not decode: {error}")
    shown = shown_hash(pixels) if phash else 0
    if not phash or near(shown, int(phash, 16)):
        return Seen()
    if not rewritten and judged_as(content, int(phash, 16)):
        return Seen(damaged=float(pixels.std()) >= _FLAT)
    apart = (shown ^ int(phash, 16)).bit_count()
    return Seen(f"shows another picture than was judged: {apart} of the 64 bits of their hashes differ")


def can_open_videos() -> bool:
    """Whether PyAV is there; without it only the first bytes of a video are looked at."""
    return importlib.util.find_spec("av") is not None


def unplayable(content: bytes, opened: bool, first_frame: bool = False) -> str:
    """Why an mp4 can't be played; "" if nothing is wrong with it.

    `opened`: every packet of it must decode, or, with `first_frame`, those up to its first frame. Else it must only
    begin as an mp4 does, with a box `ftyp` (ISO/IEC 14496-12, 4.3).
    """
    if content[4:8] != b"ftyp":
        return "it does not begin with a box ftyp"
    return mp4_fault(content, Budget(_MOST_WORK_S), first_frame) if opened else ""
