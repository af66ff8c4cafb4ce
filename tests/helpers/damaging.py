"""Makes packets of a video that no decoder takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av


def damage(path: Path, times: Callable[[float], bool], kind: str = "video", filler: int = 0xFF) -> int:
    """Overwrite the packets whose frames are shown at these times; how many these were. The container stays whole."""
    places = []
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.get({kind: 0})[0]):
            if not packet.size or packet.pos is None or packet.pts is None or packet.time_base is None:
                continue
            if times(float(packet.pts * packet.time_base)):
                places.append((packet.pos, bytes(packet)))
    data = bytearray(path.read_bytes())
    for pos, packet in places:
        at = data.find(packet, pos)  # Matroska says where the packet's block begins
        assert 0 <= at < pos + 64
        data[at : at + len(packet)] = bytes([filler]) * len(packet)
    path.write_bytes(data)
    return len(places)
