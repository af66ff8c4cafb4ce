"""Whether what a corpus calls an image or a video is one."""

from __future__ import annotations

import importlib.util
import io
import struct

from PIL import Image

from video.reading import Budget, VideoError, frames, open_container

_NOT_AN_IMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)


_MOST_WORK_S = 600.0  # on the first frame of a video


def undecodable(content: bytes) -> str:
    """Why an image can't be decoded to its last pixel; "" if it can."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except _NOT_AN_IMAGE as error:
        return f"{type(error).__name__}: {error}"
    return ""


def can_open_videos() -> bool:
    """Whether PyAV is there; without it only the first bytes of a video are looked at."""
    return importlib.util.find_spec("av") is not None


def unplayable(content: bytes, opened: bool) -> str:
    """Why an mp4 can't be played; "" if nothing is wrong with it.

    `opened`: it must have a video stream whose first frame decodes. Else it must only begin as an mp4 does, with a box
    `ftyp` (ISO/IEC 14496-12, 4.3).
    """
    if content[4:8] != b"ftyp":
        return "it does not begin with a box ftyp"
    if not opened:
        return ""
    budget = Budget(_MOST_WORK_S)
    try:
        with open_container(io.BytesIO(content), threads=1, budget=budget) as container:
            if next(frames(container, budget=budget), None) is None:
                return "it has no frame"
    except VideoError as error:
        return "it has no video stream" if error.reason == "no_video" else str(error)
    return ""
