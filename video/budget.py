"""The budget of the work on a video, and the error of a video that cannot be used. PyAV is imported lazily."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from corpus.faults import NO_ROOM
from corpus.storage import StorageError

if TYPE_CHECKING:
    import av

MAX_FRAME_SIDE_PX = 8192
_MARGIN_PX = 256
_MAX_TIME_S = 1e11  # of a time: beyond it, floats are too coarse to distinguish frames


# The reasons of `VideoError`, and what each means.
VIDEO_REASONS = {
    "broken": "the file cannot be read as a video",
    "truncated": "the file ends before the video does",
    "empty_file": "the file has no bytes",
    "no_video": "the file has no stream of pictures",
    "still_image": "the file is a single picture",
    "unsupported": "a codec or form of video that is not decoded",
    "too_long": "longer than the settings allow",
    "too_large": "frames larger than the settings allow",
    "time_budget": "the work on it takes longer than the settings allow; `--retry` tries again",
    "out_of_memory": "the work on it takes more memory than the settings allow; `--retry` tries again",
}


class VideoError(ValueError):
    """A video that cannot be used. `reason`, of VIDEO_REASONS, goes into a table; `detail` is for people to read."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # as given, so that it can be pickled
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True)
class Budget:
    """Limits of the work on a video, whatever its header claims. Time is counted from the construction."""

    seconds: float = math.inf  # of work
    max_side_px: int = MAX_FRAME_SIDE_PX  # of a frame, as stored
    max_time_s: float = math.inf  # on the stream's timeline: the last frame may not be later
    started_at: float = field(default_factory=time.monotonic)

    @property
    def max_pixels(self) -> int:
        """The largest area of a frame, with the margin that some decoders allocate around it."""
        return (self.max_side_px + _MARGIN_PX) ** 2

    @property
    def remaining_s(self) -> float:
        """The seconds of work that remain; negative when it is spent."""
        return self.started_at + self.seconds - time.monotonic()

    def check_time(self) -> None:
        """Raises VideoError (time_budget) when the time is spent."""
        if self.remaining_s <= 0:
            raise VideoError("time_budget", f"over {self.seconds:.0f} s of work")

    def check_size(self, width: int, height: int, time_s: float) -> None:
        """Raises VideoError (too_large) for a frame with a longer side than is allowed."""
        if max(width, height) > self.max_side_px:
            allowed = f"{self.max_side_px} a side are allowed"
            raise VideoError("too_large", f"a frame of {width}×{height} pixels at {time_s:.3f} s, {allowed}")

    def check_display_time(self, time_s: float) -> None:
        """Raises VideoError for a frame displayed after `max_time_s` (too_long) or at an impossible time (broken)."""
        if not abs(time_s) < _MAX_TIME_S:
            raise VideoError("broken", f"a frame at {time_s:g} s")
        if time_s > self.max_time_s:
            raise VideoError("too_long", f"a frame at {time_s:.0f} s, the last may be at {self.max_time_s:.0f} s")

    def check_decoder_error(self, context: Any, error: Exception) -> None:
        """Raises VideoError (too_large) if a decoder's error was caused by a frame of over `max_pixels`.

        The decoder has no error of its own for that; its context has the size, or none where it could not be set.
        """
        import av

        no_size = isinstance(error, av.error.ArgumentError) and not (context.width and context.height)
        if no_size or max(context.width, context.height) > self.max_side_px:
            size = f"{context.width}×{context.height}" if not no_size else f"over {self.max_pixels:,} (or no)"
            raise VideoError("too_large", f"a frame of {size} pixels, {self.max_side_px} a side are allowed") from error


@contextlib.contextmanager
def video_errors() -> Iterator[None]:
    """Turns errors of libav into VideoError, or into StorageError where this machine has no room for one more file.

    Errors of storage pass unchanged.
    """
    import av

    try:
        yield
    except _unsupported() as error:
        raise VideoError("unsupported", error.strerror or "") from error
    except av.error.MemoryError as error:  # mostly for a size that a file claims; libav allocates 2 GB at most
        raise VideoError("out_of_memory", error.strerror or "") from error
    except av.error.ExitError as error:  # by the deadline that `open_container` sets
        raise VideoError("time_budget", "libav was still reading at the end of the time for the video") from error
    except av.error.FFmpegError as error:
        if error.errno in NO_ROOM:
            raise StorageError(f"{error.filename or 'a video'}: {error.strerror}") from error
        raise VideoError("broken", error.strerror or "") from error


def _unsupported() -> tuple[type[av.error.FFmpegError], ...]:
    """Returns the errors that libav raises for what it has no code for, or only experimental code."""
    from av import error

    return (
        error.BSFNotFoundError,
        error.DecoderNotFoundError,
        error.DemuxerNotFoundError,
        error.ExperimentalError,
        error.FilterNotFoundError,
        error.NotImplementedError,
        error.PatchWelcomeError,
        error.ProtocolNotFoundError,
    )
