"""Checks which frames of a video decode, and whether an mp4 decodes completely. PyAV is imported where it is used."""

from __future__ import annotations

import io
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import TYPE_CHECKING

from video.budget import Budget, VideoError, video_errors
from video.decoding.decode import open_container, rational, video_stream

if TYPE_CHECKING:
    from av.packet import Packet

    from video.decoding.frame import Frame


class DecodedFrames:
    """The display times of the frames that a pass over a video has decoded without errors: 8 bytes for each.

    A pass that searches for clips decodes all their frames; its record saves a second decode of clips that are copied.
    """

    def __init__(self) -> None:
        self._times_s = array("d")  # rising: a pass may go back a little, over frames that it has decoded

    def add(self, frame: Frame) -> None:
        """Records a frame, unless its decoder had to conceal errors."""
        if not frame.picture.is_corrupt and (not self._times_s or frame.time_s > self._times_s[-1]):
            self._times_s.append(frame.time_s)

    def has_all(self, times_s: Iterable[float]) -> bool:
        """Returns whether there was a frame at each of these exact times."""
        known = self._times_s
        places = ((bisect_left(known, time_s), time_s) for time_s in times_s)
        return all(place < len(known) and known[place] == time_s for place, time_s in places)


def mp4_error(content: bytes, budget: Budget, first_frame: bool = False) -> str:
    """Returns why an mp4 does not decode; "" where it does.

    Every packet of its video and audio is decoded; none may fail or decode in part only, and there must be as many
    frames as its header counts. With `first_frame` decoding stops at the first frame.
    """
    import av

    try:
        with open_container(io.BytesIO(content), threads=1, budget=budget) as container, video_errors():
            stream = video_stream(container)
            found = 0
            for packet in container.demux([stream] if first_frame else [stream, *container.streams.audio]):
                budget.check_time()
                try:
                    decoded = packet.decode()
                except av.error.FFmpegError as error:
                    return f"{_place(packet)} does not decode: {error.strerror}"
                if packet.stream.index != stream.index:
                    continue
                found += len(decoded)
                if any(frame.is_corrupt for frame in decoded):  # type: ignore[union-attr]
                    return f"{_place(packet)} decodes in part only"
                if found and first_frame:
                    return ""
            if not found:
                return "it has no frame"
            return "" if found == stream.frames else f"{found} frames decode, {stream.frames} are in its header"
    except VideoError as error:
        return "it has no video stream" if error.reason == "no_video" else str(error)


def _place(packet: Packet) -> str:
    if packet.pts is None:
        return f"the end of its {packet.stream.type}"
    return f"its {packet.stream.type} at {float(packet.pts * (rational(packet.time_base) or 0)):.3f} s"
