"""How long a video is by its header and its first frame: enough to share it out, without reading it."""

from __future__ import annotations

import io
from dataclasses import dataclass

from video.continuity import JOINABLE
from video.ends import missing
from video.reading import Budget, Source, VideoError, as_file, frames, open_container, time_base, video_stream, zero_of

_MOST_WORK_S = 600.0  # the files of a source are looked at before its first shard: none may stop that


@dataclass(frozen=True)
class Glance:
    """What the header says. It may be wrong: `probe` reads the video."""

    first_s: float  # when the first frame is seen, on the stream's own timeline
    duration_s: float
    zero_s: float  # where a player's clock shows 0


def glance(source: Source) -> Glance | None:
    """A few reads, whatever the video's length. None where the header says no duration, or where something is wrong
    that `probe` will name; and for formats whose files may be joined byte by byte, of which the last timestamp tells
    nothing. What storage raises is left as it is.
    """
    import av

    budget = Budget(_MOST_WORK_S)
    try:
        with as_file(source) as file:
            if not file.seek(0, io.SEEK_END) or missing(file):
                return None
            with open_container(file, threads=1, budget=budget) as container:
                stream = video_stream(container)
                if container.format.name in JOINABLE:
                    return None
                duration_s = 0.0
                if stream.duration:
                    duration_s = float(stream.duration * time_base(stream))
                elif container.duration:
                    duration_s = container.duration / av.time_base
                first = next(frames(container, budget=budget), None)
                if first is None or duration_s <= 0:
                    return None
                return Glance(first.time_s, duration_s, zero_of(container, first.time_s))
    except VideoError:
        return None
