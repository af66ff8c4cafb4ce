"""Encodes frames as an H.264 mp4, each at its own time: upright, square pixels, even sides, SDR of 8 bits, 4:2:0."""

from __future__ import annotations

import io
import platform
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from corpus.settings import Settings
from video.decoding.decode import rational, time_base
from video.decoding.frame import Orientation
from video.decoding.tone_mapping import to_sdr

if TYPE_CHECKING:
    import av

    from video.decoding.frame import Frame

_FORMAT = "yuv420p"
_UPRIGHT = Orientation()
_RATE = Fraction(25)  # where the source has none: for the encoder's rate control only, frames keep their times
# x264's code for AVX-512 reads uninitialized memory (in its macroblock tree): the same frames became other bytes now
# and then, and always other bytes than on a machine without it. SSE4.2 is on every x86 server.
_SAME_BYTES = {"x264-params": "asm=SSE4.2"} if platform.machine().lower() in ("x86_64", "amd64") else {}


class EncodeSettings(Settings):
    """Settings of x264 for the clips that can't be copied."""

    crf: int = Field(23, ge=0, le=51, description="The constant rate factor of x264: lower is better and larger.")
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"] = (
        Field("veryfast", description="The preset of x264: slower ones make smaller files.")
    )
    gop_frames: int = Field(250, ge=1, description="The longest distance between keyframes.")
    threads: int = Field(
        1,
        ge=1,
        le=64,
        description="Threads of the encoder for each open clip; the output of x264 depends on it.",
    )


class ClipWriter:
    """A writer of one clip. Its first frame is at time 0; all durations are the source's, to the tick."""

    def __init__(self, stream: av.VideoStream, settings: EncodeSettings) -> None:
        """`stream`: the source of the frames."""
        self._settings = settings
        self._time_base = time_base(stream)
        self._rate = rational(stream.average_rate) or _RATE
        self._tags_aspect = bool(stream.sample_aspect_ratio)
        self._buffer = io.BytesIO()
        self._container: Any = None
        self._stream: Any = None
        self._filters: dict[Any, Any] = {}
        self._scalers: dict[Any, Any] = {}
        self._pending: Frame | None = None  # until the next frame gives its duration
        self._begin = 0  # ticks of the time base, as all times inside
        self._durations: dict[int, int] = {}
        self._size = (0, 0)  # width, height
        self.frames = 0
        self.start_s = self.end_s = 0.0  # of the display in the source; the end is set by `close`

    def add(self, frame: Frame) -> None:
        """Adds the next frame in the order of presentation."""
        if self._pending is not None:
            self._encode(self._pending, self._ticks(frame.time_s))
        self._pending = frame
        self.start_s = self.start_s if self.frames else frame.time_s
        self.frames += 1

    def close(self, end_s: float | None) -> bytes:
        """Ends the clip; returns the mp4.

        `end_s`: the end of the last frame's display in the source, None at the source's end. Raises ValueError without
        frames.
        """
        if self._pending is None:
            raise ValueError("a clip without a frame")
        usual = self._pending.picture.duration or round(1 / self._rate / self._time_base)
        end = self._ticks(self._pending.time_s) + max(1, usual) if end_s is None else self._ticks(end_s)
        self.end_s = float(end * self._time_base)
        self._encode(self._pending, end)
        self._mux(None)
        self._container.close()
        self._pending, self._filters, self._scalers = None, {}, {}
        return self._buffer.getvalue()

    def _ticks(self, time_s: float) -> int:
        return round(time_s / self._time_base)

    def _encode(self, frame: Frame, next_at: int) -> None:
        at = self._ticks(frame.time_s)
        if not self._size[0]:
            self._begin, self._size = at, _even(frame.size)
        prepared = self._prepare(frame)
        if self._container is None:
            self._open(prepared)
        # The same in every clip with this frame, so its time is not shifted to begin at 0 here.
        prepared.pts, prepared.time_base = at, self._time_base
        prepared.pict_type = 0  # NONE: else x264 follows the source's encoder
        self._durations[at] = next_at - at
        self._mux(prepared)

    def _mux(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            packet.duration = self._durations.pop(packet.pts)
            packet.pts -= self._begin
            packet.dts -= self._begin
            self._container.mux_one(packet)

    def _open(self, frame: av.VideoFrame) -> None:
        import av

        self._container = av.open(self._buffer, "w", format="mp4", options={"fflags": "+bitexact"})
        options = {"crf": str(self._settings.crf), "preset": self._settings.preset, **_SAME_BYTES}
        self._stream = self._container.add_stream("libx264", rate=self._rate, options=options)
        context = self._stream.codec_context
        self._stream.time_base = context.time_base = self._time_base
        context.width, context.height = self._size
        context.pix_fmt = _FORMAT
        context.gop_size = self._settings.gop_frames
        context.thread_count = self._settings.threads
        for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
            setattr(context, name, getattr(frame, name))
        if self._tags_aspect:
            context.sample_aspect_ratio = Fraction(1)

    def _prepare(self, frame: Frame) -> av.VideoFrame:
        """Returns the picture to encode: turned, cut to even sides, converted; unchanged where it is so already."""
        picture, orientation = frame.picture, frame.orientation
        if not frame.colours.are_bt709:
            size = orientation.swap_size(self._size)
            picture = to_sdr(picture, frame.colours, size, _FORMAT, "BICUBIC", self._scalers)
        elif frame.pixel_aspect == 1:
            size = (picture.width, picture.height)
        else:
            size = frame.square_size
        shape = (picture.width, picture.height, picture.format.name, size, orientation)
        if shape == (*self._size, _FORMAT, self._size, _UPRIGHT):
            return picture
        if shape not in self._filters:
            self._filters[shape] = _filters(picture, orientation, size, self._time_base, self._size)
        self._filters[shape].push(picture)
        return self._filters[shape].pull()


def _even(size: tuple[int, int]) -> tuple[int, int]:
    return max(2, size[0] - size[0] % 2), max(2, size[1] - size[1] % 2)


def _filters(
    picture: av.VideoFrame,
    orientation: Orientation,
    square_size: tuple[int, int],
    time_base: Fraction,
    size: tuple[int, int],
) -> Any:
    """Returns a graph from pictures like `picture`, of `square_size` in square pixels, to upright ones of `size`.

    Pixels are scaled only where they are not square, and where the source changes its size.
    """
    from av.filter import Graph

    width, height = _even(orientation.swap_size(square_size))
    steps = ["transpose=cclock_flip"] * orientation.transposed
    steps += ["hflip"] * orientation.mirrored + ["vflip"] * orientation.flipped
    if square_size == (picture.width, picture.height):
        steps.append(f"crop={width}:{height}:0:0")
    steps += [f"scale={size[0]}:{size[1]}", f"format={_FORMAT}"]
    graph = Graph()
    graph.threads = 1
    last = graph.add_buffer(width=picture.width, height=picture.height, format=picture.format, time_base=time_base)
    for step in [*steps, "buffersink"]:
        name, _, arguments = step.partition("=")
        node = graph.add(name, arguments or None)
        last.link_to(node)
        last = node
    graph.configure()
    return graph
