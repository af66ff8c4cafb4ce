"""Opens videos and decodes their frames by the container's own timestamps: upright, scaled while they are converted.

All times are seconds on the video stream's own timeline: presentation timestamp × time base, nothing subtracted. PyAV
is imported where it is used.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from video.budget import Budget, VideoError, video_errors
from video.decoding.container import HEAD_BYTES, container_of
from video.decoding.continuity import JOINABLE, all_packets, breaks_of, packets_from_keyframe
from video.decoding.files import VideoSource, as_file, open_source
from video.decoding.frame import Frame, orientation_of

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

# Formats that a file from the web may have. Playlists, image sequences and the like would make the demuxer open other
# files.
FORMATS = "mov,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,gif,jpeg_pipe,png_pipe,webp_pipe,mp3,wav"
# As returned by `container_of`.
_ALLOWED_CONTAINERS = frozenset({"mov", "mp4", "3gp", "webm", "mkv", "avi", "ts", "flv", "wmv", "ogv"})
_PROGRAM_STREAM = b"\x00\x00\x01\xba"  # bare MPEG video, which is not allowed, has the same extension
_UNTIMED = ("avi",)  # formats with the decoding order of frames and without display times
_BUFFER_BYTES = 1 << 16
_MAX_BAD_PACKETS = 50  # in a row; a player continues after damage, and so does this module
_SEARCHED = JOINABLE  # formats without an index, searched by decoding time: seek well before the first frame
_BEFORE_S = 10.0
_TICK_SHARE = 1e-6  # of a tick: rounding of seconds to floats must not lead to the keyframe before
_MAX_PIXEL_ASPECT = 8  # of a pixel; anamorphic film has 2
_PICTURE_CODECS = frozenset({"mjpeg", "png", "bmp", "tiff", "webp", "jpeg2000", "jpegxl"})


def open_container(source: VideoSource, threads: int = 0, budget: Budget | None = None) -> InputContainer:
    """Opens a container for reading. The caller closes it (`with`).

    `source` is a local path, a URL of an object store, or a seekable binary file such as RangeFile; a file object is
    not closed with the container. `threads` are the decoder's; 0: one for each core. Raises VideoError for what is no
    video (images and audio may be opened: `video_stream` and `probe` refuse them), StorageError for what cannot be
    read. No decoder allocates a frame of more pixels than `budget` allows; the time of opening, and of reading each
    packet, is bounded.
    """
    import av

    budget = budget or Budget()
    budget.check_time()
    # Decoders are opened twice: by libav for what the header lacks, and by PyAV.
    bounded = {"max_pixels": str(budget.max_pixels)}
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        with video_errors(), _formats_refused(source):
            # Tags may have any encoding. PyAV 18 raises for those that are not UTF-8; 19 reads all of them.
            tags: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
            container = av.open(
                open_source(source),
                "r",
                options=bounded,
                container_options=options,
                buffer_size=_BUFFER_BYTES,
                timeout=budget.remaining_s if math.isfinite(budget.seconds) else None,
                **tags,
            )
    except UnicodeError as error:
        raise VideoError("broken", f"{error}") from error
    for stream in container.streams.video:
        if stream.codec_context is not None:
            stream.thread_type = "AUTO"  # type: ignore[assignment]
            stream.thread_count = threads
            stream.codec_context.options = bounded
    return container


@contextlib.contextmanager
def _formats_refused(source: VideoSource) -> Iterator[None]:
    """Turns libav's error (EINVAL) for a format that is not allowed into VideoError."""
    import av

    try:
        yield
    except av.error.ArgumentError as error:
        with as_file(source) as file:
            file.seek(0)
            head = file.read(HEAD_BYTES)
        known = container_of(head)
        if known in _ALLOWED_CONTAINERS or head.startswith(_PROGRAM_STREAM):
            raise
        raise VideoError("unsupported", f"a format that is not allowed{f' ({known})' if known else ''}") from error


def rational(value: Any) -> Fraction | None:
    """Converts a rate or time base of PyAV into a Fraction, None where it is unset.

    PyAV 18 has Fractions, 19 its own AVRational, which is zero where unset and can be neither rounded nor made an int.
    """
    return Fraction(value) if value else None


def time_base(timed: av.VideoStream | av.AudioStream | av.AudioFrame) -> Fraction:
    """Returns the seconds in a tick of a stream or a frame. Raises VideoError (unsupported) where they are unset."""
    base = rational(timed.time_base)
    if base is None:
        raise VideoError("unsupported", "its times have no unit")
    return base


def display_ticks(packet: av.Packet, container: InputContainer) -> int | None:
    """Returns when a packet's frame is displayed, in ticks of its time base; of AVI, which has none, when it is
    decoded.
    """
    return packet.dts if packet.pts is None or container.format.name in _UNTIMED else packet.pts


def player_zero_s(container: InputContainer, first_s: float) -> float:
    """Returns the zero of a player's clock on the streams' timeline: the start of the first of all streams.

    That is before the first frame (`first_s`) where the audio starts earlier, and never after it.
    """
    import av

    return first_s if container.start_time is None else min(first_s, container.start_time / av.time_base)


def video_stream(container: InputContainer) -> av.VideoStream:
    """Returns the video stream that a player would take, by libav's choice (`av_find_best_stream`), unless that is a
    cover.

    libav chooses by disposition, then by frames and bits per second. Covers are attached pictures and, beside other
    streams, single pictures in a codec for images. Raises VideoError: no_video, also for covers alone, or unsupported
    codec.
    """
    from av.stream import Disposition

    pictures = container.streams.video
    films = [stream for stream in pictures if not stream.disposition & Disposition.attached_pic]
    if not films:
        what = "nothing but a cover (an attached picture)" if pictures else "no video stream"
        raise VideoError("no_video", f"there is {what}")
    films = [stream for stream in films if not _is_cover(stream)] or films
    best = container.streams.best("video")
    if best is None or best.index not in [stream.index for stream in films]:
        best = max(films, key=_preference)
    if best.codec_context is None or not best.time_base:
        raise VideoError("unsupported", "there is no decoder for the video stream")
    return cast("av.VideoStream", best)


def _is_cover(stream: av.VideoStream) -> bool:
    """Returns whether a stream beside others is a single picture, or may be, as its header has no number of frames."""
    return stream.codec_context is not None and stream.codec_context.name in _PICTURE_CODECS and stream.frames <= 1


def _preference(stream: av.VideoStream) -> tuple[bool, int, int]:
    """Returns the sort key of streams where libav's own choice is a cover."""
    from av.stream import Disposition

    pixels = stream.width * stream.height if stream.codec_context is not None else 0
    return bool(stream.disposition & Disposition.default), pixels, -stream.index


def audio_stream(container: InputContainer) -> av.AudioStream | None:
    """Returns the audio stream that a player would take, by libav's choice; None where none can be decoded."""
    best = container.streams.best("audio")
    return None if best is None or best.codec_context is None else cast("av.AudioStream", best)


def _pixel_aspect(container: InputContainer, stream: av.VideoStream) -> Fraction:
    """Returns the width of a stored pixel by its height. The container's value overrides the codec's, which may change.

    It is 1 where nothing is known, and where it is more than any camera or disc has.
    """
    per_codec = container.format.name in JOINABLE
    aspect = rational(stream.codec_context.sample_aspect_ratio if per_codec else stream.sample_aspect_ratio)
    aspect = aspect or rational(stream.sample_aspect_ratio) or Fraction(1)
    return aspect if 1 / _MAX_PIXEL_ASPECT <= aspect <= _MAX_PIXEL_ASPECT else Fraction(1)


def frames(
    container: InputContainer,
    start_s: float | None = None,
    end_s: float | None = None,
    warm_up_s: float = 0.0,
    budget: Budget | None = None,
    packet_times_s: list[float] | None = None,
) -> Iterator[Frame]:
    """Yields decoded frames in presentation order, their times strictly rising.

    They begin at the keyframe at or before `start_s - warm_up_s` (None: the first), so some earlier frames come too,
    and end with the last before `end_s` (None: the last). A container can be read again and again, one call at a time.
    A packet that cannot be decoded is skipped. `packet_times_s` gets the time of each packet that is decoded. Raises
    VideoError: broken, when nothing (more) can be decoded, and at what exceeds the budget. All other streams are set to
    be discarded: audio needs a container of its own.
    """
    import av

    budget = budget or Budget()
    stream = video_stream(container)
    for other in container.streams:
        if other.index != stream.index:
            other.discard = av.stream.Discard.all
    with video_errors():
        packets, earliest_s = _packets(container, stream, None if start_s is None else start_s - warm_up_s, budget)
        if packet_times_s is not None:
            packets = _record_times(packets, container, stream, packet_times_s)
        last_s = -math.inf
        scalers: dict[Any, Any] = {}
        orientation, rotation = None, 0
        for time_s, picture in _decoded(packets, stream, container.format.name in _UNTIMED, budget):
            if time_s is None:
                time_s = max(last_s, 0.0) + 1 / float(rational(stream.average_rate) or 25)
            if orientation is None or picture.rotation != rotation:
                orientation, rotation = orientation_of(picture), picture.rotation
            frame = Frame(time_s, picture.key_frame, picture, orientation, _pixel_aspect(container, stream), scalers)
            budget.check_size(picture.width, picture.height, time_s)
            budget.check_size(*frame.square_size, time_s)
            if not frame.colours.can_be_converted:
                raise VideoError("unsupported", "its colours are in a space that libav cannot convert (ICtCp or IPT)")
            budget.check_display_time(time_s)
            if time_s < earliest_s or time_s <= last_s:  # displayed before the keyframe: needs skipped packets
                continue
            if end_s is not None and time_s >= end_s:
                return
            last_s = time_s
            yield frame


def _record_times(
    packets: Iterator[av.Packet], container: InputContainer, stream: av.VideoStream, packet_times_s: list[float]
) -> Iterator[av.Packet]:
    """Yields the packets; `packet_times_s` gets the times of those of displayed frames."""
    base = time_base(stream)
    for packet in packets:
        ticks = display_ticks(packet, container)
        if packet.size and not packet.is_discard and ticks is not None:
            packet_times_s.append(ticks * base.numerator / base.denominator)
        yield packet


def _packets(
    container: InputContainer, stream: av.VideoStream, time_s: float | None, budget: Budget
) -> tuple[Iterator[av.Packet], float]:
    """Returns the stream's packets from a keyframe that is displayed at or before a time, and the keyframe's time.

    Demuxers search for keyframes by decoding time, and some only roughly: where they land too late, search further
    back.
    """
    import av

    base = time_base(stream)
    joinable = container.format.name in JOINABLE
    begin = (stream.start_time or 0) - (math.ceil(_BEFORE_S / base) if container.format.name in _SEARCHED else 0)
    if joinable and (time_s is None or time_s / base <= begin):
        return all_packets(container, stream, budget), -math.inf
    if time_s is None or time_s / base <= begin:
        with contextlib.suppress(av.error.FFmpegError):  # a single image is at its start, and cannot be sought
            container.seek(begin, stream=stream)
        return container.demux(stream), -math.inf
    target = math.floor(time_s / float(base) + _TICK_SHARE)
    if joinable and (breaks := breaks_of(container, stream, budget)).offsets_s:
        key = breaks.keyframe_before(target)
        if key is None:
            return all_packets(container, stream, budget), -math.inf
        return packets_from_keyframe(container, stream, key, budget), key * base.numerator / base.denominator
    back = 0
    while True:
        budget.check_time()
        at = max(begin, target - back)
        container.seek(at, stream=stream)
        packets = container.demux(stream)
        first = next((packet for packet in packets if packet.is_keyframe or packet.size == 0), None)
        ticks = None if first is None else display_ticks(first, container)
        if first is not None and ticks is not None and ticks <= target:
            return itertools.chain([first], packets), ticks * base.numerator / base.denominator
        if at <= begin:
            if joinable:
                return all_packets(container, stream, budget), -math.inf
            container.seek(begin, stream=stream)
            return container.demux(stream), -math.inf
        back = max(math.ceil(1 / base), 2 * back)


def _decoded(
    packets: Iterator[av.Packet], stream: av.VideoStream, untimed: bool, budget: Budget
) -> Iterator[tuple[float | None, av.VideoFrame]]:
    """Yields frames and their times in seconds; None where the container has none."""
    import av

    base = time_base(stream)
    queue: deque[int] = deque()  # decoding times: the n-th displayed frame gets the n-th of them
    bad = decoded = 0
    for packet in packets:
        budget.check_time()
        if untimed and packet.dts is not None and packet.size:
            queue.append(packet.dts)
        try:
            pictures = packet.decode()
        except av.error.FFmpegError as error:
            budget.check_decoder_error(stream.codec_context, error)
            if not isinstance(error, av.error.InvalidDataError):
                raise
            bad += 1
            if bad > _MAX_BAD_PACKETS:
                raise VideoError("broken", f"{bad} packets in a row cannot be decoded: {error.strerror}") from error
            continue
        for picture in pictures:
            bad = 0
            decoded += 1
            ticks = (queue.popleft() if queue else None) if untimed else picture.pts
            yield None if ticks is None else ticks * base.numerator / base.denominator, picture
    if not decoded and bad:
        raise VideoError("broken", "no frame can be decoded")
