"""Maps timestamps that restart in the middle of a video (joined recordings, a clock that was set) to one timeline.

Transport and program streams may be joined byte by byte. ffmpeg continues such a file where its timestamps go back, or
forward by more than ten seconds, and so does this module: what comes after the break follows what came before it. Such
a file cannot be searched by time: what lies before a time is read, but not decoded. PyAV is imported where it is used.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video.decoding.files import NAME_PREFIX

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

    from video.budget import Budget

JOINABLE = ("mpegts", "mpeg")  # formats whose timestamps may restart
_GAP_S = 10.0  # a longer gap is a break, as in ffmpeg (dts_delta_threshold)
_BACK_S = 0.1  # smaller steps back are rounding, no break
_START = -(1 << 40)  # in ticks: before everything, so that a seek goes to the first byte
_FILES_KEPT = 16

Packets = Iterator["av.Packet"]


class Continuity:
    """A shift of the packets of one stream, from the first of a file on, to times that continue over every break."""

    def __init__(self, base: Fraction, known_offsets: Sequence[int] | None = None) -> None:
        """`base`: seconds in a tick. `known_offsets`: ticks to add after each break; None: to be found."""
        self._gap, self._back = (round(seconds / base) for seconds in (_GAP_S, _BACK_S))
        self._known_offsets = known_offsets
        self._last: int | None = None  # decoding time of the newest packet, as stored
        self._step = 0  # between two packets
        self._until: int | None = None  # end of the last frame so far, on the one timeline
        self._offset = 0
        self.offsets: list[int] = []  # ticks that are added after each break

    def shift(self, packet: av.Packet) -> bool:
        """Sets the packet's times. Returns False for a packet after more breaks than `known_offsets`."""
        pts, dts = packet.pts, packet.dts
        if pts is not None and dts is not None and not -self._back <= pts - dts <= self._gap:
            pts = None  # libav derived it from a packet on the other side of a break
        if dts is not None:
            if self._last is not None and not -self._back <= dts - self._last <= self._gap:
                if self._known_offsets is not None and len(self.offsets) == len(self._known_offsets):
                    return False
                self._offset = (
                    self._next_offset(pts, dts)
                    if self._known_offsets is None
                    else self._known_offsets[len(self.offsets)]
                )
                self.offsets.append(self._offset)
            elif self._last is not None and dts > self._last:
                self._step = dts - self._last
            self._last = dts
        self._step = packet.duration or self._step
        packet.dts = None if dts is None else dts + self._offset
        packet.pts = None if pts is None else pts + self._offset
        if pts is not None:
            until = pts + self._offset + self._step
            self._until = until if self._until is None else max(until, self._until)
        return True

    def _next_offset(self, pts: int | None, dts: int) -> int:
        """Returns the offset with which the packet is decoded, and displayed, after all before it."""
        offset = (self._last or 0) + self._offset + self._step - dts
        return offset if pts is None or self._until is None else max(offset, self._until - pts)


@dataclass(frozen=True)
class Breaks:
    """The breaks of a video's timestamps."""

    offsets_s: tuple[Fraction, ...] = ()  # to be added after each break
    keyframes: tuple[int, ...] = ()  # their display times, in ticks of the one timeline, in the order of the file

    def keyframe_before(self, ticks: int) -> int | None:
        """Returns the last keyframe displayed at or before a time, in ticks; None if there is none."""
        place = bisect_right(self.keyframes, ticks)
        return self.keyframes[place - 1] if place else None


_NONE = Breaks()
_breaks_by_file: OrderedDict[Any, Breaks] = OrderedDict()  # of the files that were read last


def breaks_of(container: InputContainer, stream: av.VideoStream, budget: Budget) -> Breaks:
    """Returns the breaks of a video, for which all its packets are read once; none in formats that cannot be joined.

    Moves the position in the container. Raises errors of libav, and VideoError when the budget is spent.
    """
    if container.format.name not in JOINABLE:
        return _NONE
    key = _key(container)
    if key not in _breaks_by_file:
        continuity, keyframes = Continuity(Fraction(stream.time_base or 1)), []
        container.seek(_START, stream=stream)
        for packet in container.demux(stream):
            budget.check_time()
            continuity.shift(packet)
            if packet.is_keyframe and (keyframe_ticks := _packet_ticks(packet)) is not None:
                keyframes.append(keyframe_ticks)
        cache_breaks(container, stream, continuity, keyframes)
    _breaks_by_file.move_to_end(key)
    return _breaks_by_file[key]


def cache_breaks(
    container: InputContainer, stream: av.VideoStream, continuity: Continuity, keyframes: Iterable[int]
) -> None:
    """Keeps the breaks of a video of which a caller has shifted all packets, from the first to the last."""
    if container.format.name not in JOINABLE:
        return
    base = Fraction(stream.time_base or 1)
    offsets = tuple(offset * base for offset in continuity.offsets)
    _breaks_by_file[_key(container)] = Breaks(offsets, tuple(keyframes)) if offsets else _NONE
    while len(_breaks_by_file) > _FILES_KEPT:
        _breaks_by_file.popitem(last=False)


def all_packets(container: InputContainer, stream: av.VideoStream, budget: Budget) -> Packets:
    """Yields all packets of a video whose format can be joined, on one timeline."""
    container.seek(_START, stream=stream)
    continuity = Continuity(Fraction(stream.time_base or 1))
    for packet in container.demux(stream):
        budget.check_time()
        continuity.shift(packet)
        yield packet


def packets_from_keyframe(container: InputContainer, stream: av.VideoStream, keyframe: int, budget: Budget) -> Packets:
    """Yields the packets from a keyframe on, which is given by its display time on the one timeline, in ticks."""
    started = False
    for packet in all_packets(container, stream, budget):
        started = started or (packet.is_keyframe and _packet_ticks(packet) == keyframe) or not packet.size
        if started:
            yield packet


def audio_packets(
    container: InputContainer, stream: av.AudioStream, breaks: Breaks, start_s: float
) -> Iterator[av.Packet]:
    """Yields the packets of audio from a time on, on the timeline of the frames.

    The n-th break of the audio is that of the frames. Packets after more breaks than the frames have are dropped: their
    time is unknown.
    """
    base = Fraction(stream.time_base or 1)
    continuity = Continuity(base, [round(offset_s / base) for offset_s in breaks.offsets_s])
    container.seek(_START, stream=stream)
    for packet in container.demux(stream):
        if not continuity.shift(packet):
            return
        if packet.pts is None or packet.pts * base >= start_s:
            yield packet


def _packet_ticks(packet: av.Packet) -> int | None:
    return packet.dts if packet.pts is None else packet.pts


def _key(container: InputContainer) -> Any:
    """Returns a key of the file behind a container, or the container itself where the file has no known name."""
    name = str(container.name)
    if name.startswith(NAME_PREFIX):
        return name
    path = Path(name)
    if not path.is_absolute():
        return container
    status = path.stat()
    return name, status.st_size, status.st_mtime_ns
