"""Copies clips packet by packet, without decoding, where the copy has exactly the requested frames.

Packets lie in decoding order, frames are displayed in the order of their timestamps. A clip can be copied when its
packets are contiguous and the first of them is a keyframe that resets the decoder (an IDR picture, not any intra
picture): then nothing in the clip refers to a frame outside it. Where B-frames reach across one of its ends, or it
starts with an open group of pictures, the clip is encoded by `video.transcode.encode`.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, cast

from video.decoding.decode import time_base

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.packet import Packet

    from video.budget import Budget

# Containers with display times of packets: AVI has none.
_CONTAINERS = frozenset({"mov", "mp4", "matroska", "webm", "mpegts"})
_PIXEL_FORMATS = frozenset({"yuv420p", "yuvj420p"})  # supported by every player and hardware decoder
_BEFORE_S = 2.0  # some demuxers seek only roughly: reading must begin before the first clip
# The types of network abstraction units: ITU-T H.264, table 7-1; H.265, table 7-1.
_SLICES = {"h264": range(1, 6), "hevc": range(32)}
_IDR = {"h264": (5,), "hevc": (19, 20)}
_SEQUENCE_PARAMETERS = {"h264": 7, "hevc": 33}  # with the size of frames


@dataclass
class RemuxPlan:
    """The packets of a clip while they are read. Ticks are of the stream's time base: begin <= pts < end."""

    begin: int
    end: int
    packets: list[tuple[int, Packet]] = field(default_factory=list)  # display time in ticks, packet
    after: int | None = None  # display time of the first frame after the clip
    state: Literal["waiting", "taking", "complete", "refused"] = "waiting"

    def push(self, packet: Packet, is_random_access: bool, first: bool) -> None:
        """Takes the next packet in decoding order, or finds that the clip can't be copied.

        `is_random_access`: no packet from it on refers to one before it. `first`: the packets before it are unknown.
        """
        pts = packet.pts
        assert pts is not None
        inside = self.begin <= pts < self.end
        if pts >= self.end:
            self.after = pts if self.after is None else min(pts, self.after)
        if self.state == "taking" and not inside:
            self.state = "complete"
        elif inside and self.state == "waiting" and is_random_access and not first and not packet.is_corrupt:
            self.state = "taking"
        elif inside and (self.state != "taking" or pts < self.packets[0][0] or packet.is_corrupt):
            self.state = "refused"
        if self.state == "taking":
            self.packets.append((pts, packet))
        elif self.state == "refused":
            self.packets.clear()

    def is_complete(self) -> bool:
        """Returns whether the clip can be copied, after all packets."""
        return self.state in ("taking", "complete") and len({pts for pts, _ in self.packets}) == len(self.packets)

    def end_ticks(self) -> int:
        """Returns when the display of the last frame ends."""
        last, packet = max(self.packets, key=lambda entry: entry[0])
        return last + max(1, packet.duration or 1) if self.after is None else self.after

    def is_settled(self, packet: Packet, is_random_access: bool) -> bool:
        """Returns whether no packet after this one can belong to the clip."""
        if self.state == "refused":
            return True
        reached = packet.pts if is_random_access else packet.dts
        return reached is not None and reached >= self.end


def can_remux(container: InputContainer, stream: av.VideoStream, codecs: Collection[str]) -> bool:
    """Returns whether codec, container and pixels allow copies at all, before any packet is read."""
    context = stream.codec_context
    return (
        context.name in codecs
        and context.pix_fmt in _PIXEL_FORMATS
        and not (context.width % 2 or context.height % 2)
        and not _CONTAINERS.isdisjoint(container.format.name.split(","))
    )


def remux_plans(
    container: InputContainer, stream: av.VideoStream, intervals: Sequence[tuple[int, int]], budget: Budget
) -> Iterator[tuple[int, RemuxPlan]]:
    """Yields (index in `intervals`, plan) of the clips that can be copied, each as soon as it is complete.

    Intervals are in ticks of the stream, sorted by their start. Reads from a little before the first to the last, or
    until all are settled; holds the packets of the active clips. Raises VideoError when the budget is spent.
    """
    random_access = _RandomAccess(stream)
    waiting = [(at, RemuxPlan(begin, end)) for at, (begin, end) in enumerate(intervals)][::-1]
    active: dict[int, RemuxPlan] = {}
    start = intervals[0][0] - int(_BEFORE_S / time_base(stream))
    container.seek(start, stream=stream, backward=True)
    first = start > (stream.start_time or 0)
    for packet in container.demux(stream):
        budget.check_time()
        if not packet.size:  # the end of the file
            break
        # No copies without a time, or of an mp4 that changes its parameters, which not all readers follow.
        if packet.pts is None or packet.has_sidedata("new_extradata"):
            return
        if packet.is_discard:  # decoded, never shown
            continue
        while waiting and waiting[-1][1].begin <= packet.pts:
            active.update([waiting.pop()])
        is_random_access = random_access.is_random_access(packet)
        if random_access.changed:  # nor do readers follow a change of size, which the mp4's header can't express
            return
        for at, plan in list(active.items()):
            plan.push(packet, is_random_access, first)
            if plan.is_settled(packet, is_random_access):
                del active[at]
                if plan.is_complete():
                    yield at, plan
        if not active and not waiting:
            return
        first = False
    for at, plan in active.items():
        if plan.is_complete():  # its end is the video's
            yield at, plan


def remux(stream: av.VideoStream, clip: RemuxPlan) -> bytes:
    """Writes an mp4 of packets of `stream`, the first frame at time 0.

    Decoding times are computed anew: the sorted presentation times, earlier by what the largest reordering needs.
    """
    import av

    display_times = sorted(pts for pts, _ in clip.packets)
    delay = max(due - pts for due, (pts, _) in zip(display_times, clip.packets, strict=True))
    lengths = {pts: following - pts for pts, following in pairwise([*display_times, clip.end_ticks()])}
    base, buffer = time_base(stream), io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        target = container.add_stream_from_template(stream, opaque=True)
        for due, (pts, packet) in zip(display_times, clip.packets, strict=True):
            copy = av.Packet(cast("Any", packet))  # a copy: another clip may hold the packet, with other times
            copy.stream, copy.time_base, copy.is_keyframe = target, base, packet.is_keyframe
            copy.pts, copy.dts, copy.duration = pts - display_times[0], due - delay - display_times[0], lengths[pts]
            container.mux_one(copy)
    return buffer.getvalue()


class _RandomAccess:
    """A classifier of a stream's packets, in their order: whether each resets the decoder.

    changed: an H.264 or HEVC packet had other parameters (the size of frames among them) than those before it.
    """

    def __init__(self, stream: av.VideoStream) -> None:
        self._codec = stream.codec_context.name
        extradata = stream.codec_context.extradata or b""
        place = 4 if self._codec == "h264" else 21  # of the length size in avcC and hvcC (ISO/IEC 14496-15)
        self._length = (extradata[place] & 3) + 1 if len(extradata) > place and extradata[0] == 1 else 0
        self._parameters: list[bytes] = []
        self.changed = False

    def is_random_access(self, packet: Packet) -> bool:
        if not packet.is_keyframe or self._codec not in _SLICES:
            return packet.is_keyframe
        parameters = []
        data, is_random_access = bytes(packet), False
        for begin, end in _nal_units(data, self._length):
            kind = data[begin] & 31 if self._codec == "h264" else data[begin] >> 1 & 63
            if kind in _SLICES[self._codec]:
                is_random_access = kind in _IDR[self._codec]
                break
            if kind == _SEQUENCE_PARAMETERS[self._codec]:
                parameters.append(data[begin:end].rstrip(b"\0"))
        if parameters:
            self.changed = self.changed or (self._parameters not in ([], parameters))
            self._parameters = parameters
        return is_random_access


def _nal_units(data: bytes, length: int) -> Iterator[tuple[int, int]]:
    """Yields the start and end of each network abstraction unit of a packet.

    `length`: of the length field before each unit, in bytes; 0: units follow start codes (Annex B).
    """
    at = 0
    while length and at + length < len(data):
        begin = at + length
        at = begin + int.from_bytes(data[at:begin], "big")
        yield begin, min(at, len(data))
    at = -1 if length else data.find(b"\0\0\1")
    while 0 <= at < len(data) - 3:
        begin, at = at + 3, data.find(b"\0\0\1", at + 3)
        yield begin, len(data) if at < 0 else at
