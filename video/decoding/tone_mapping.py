"""Converts pictures of high dynamic range or wide gamut to SDR (BT.709, gamma 2.4).

PQ and HLG pictures become light as a display of 1,000 cd/m² shows it (ITU-R BT.2100-2, tables 4 and 5: PQ's EOTF; HLG's
inverse OETF and OOTF, system gamma 1.2). That light is mapped into the range of an SDR display whose white is at 203
cd/m², the reference white of HDR (ITU-R BT.2408), by the EETF of ITU-R BT.2390 (section 5.4.1), applied to the largest
of the three components, so that no hue shifts: up to about 90 cd/m² nothing changes, brighter light is compressed.
BT.2020 and P3 primaries are converted to those of BT.709 by matrices (ITU-R BT.2087; SMPTE RP 431-2), colours outside
are clipped, and the light is encoded by the inverse of BT.1886. All of it is one table of 33³ colours, which libav's
`lut3d` interpolates. PyAV is imported where it is used.
"""

from __future__ import annotations

import functools
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

Values = NDArray[np.float64]

# Code points of ITU-T H.273, tables 2 and 3, as libav has them.
_TRANSFERS = {16: "pq", 18: "hlg"}
_BT2020, _P3_D65 = 9, 12
_NO_MATRIX = (14, 15)  # ICtCp, IPT-C2 (table 4)
_WHITE_NITS = 203.0
_PEAK_NITS = 1000.0
_HLG_GAMMA = 1.2
_SDR_GAMMA = 2.4
_GRID = 33
_ANY_TIME_BASE = Fraction(1, 1000)
_PLANES = "gbrp16le"  # in which the table is applied
# Rows: red, green and blue of BT.709 in linear light, by red, green and blue of the other primaries.
_TO_BT709 = {
    _BT2020: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    _P3_D65: ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}
_LUMINANCE = {_BT2020: (0.2627, 0.6780, 0.0593), _P3_D65: (0.2290, 0.6917, 0.0793)}


class Colours(NamedTuple):
    """The colour tags of a picture, as far as its conversion depends on them."""

    dynamic_range: str  # sdr, pq or hlg
    primaries: int  # BT.2020 or P3; 0: others, which are near enough to those of BT.709
    can_be_converted: bool = True  # false: there is no matrix for them, they are ICtCp or IPT

    @property
    def are_bt709(self) -> bool:
        """Whether they are, nearly enough, the colours that every reader assumes."""
        return not self.primaries


_SDR = Colours("sdr", 0)


def colours_of(picture: av.VideoFrame) -> Colours:
    """Reads the tags of a decoded frame. PQ and HLG without primaries are taken for BT.2020, as BT.2100 has it."""
    dynamic_range = _TRANSFERS.get(int(picture.color_trc), "sdr")
    if int(picture.colorspace) in _NO_MATRIX:
        return Colours(dynamic_range, _BT2020, can_be_converted=False)
    primaries = int(picture.color_primaries)
    if primaries in _TO_BT709:
        return Colours(dynamic_range, primaries)
    return _SDR if dynamic_range == "sdr" else Colours(dynamic_range, _BT2020)


def to_sdr(
    picture: av.VideoFrame,
    colours: Colours,
    size: tuple[int, int],
    kind: str,
    interpolation: str,
    cache: dict[Any, Any],
) -> av.VideoFrame:
    """Converts a picture to BT.709, at `size` (width, height) and in the pixel format `kind`.

    `interpolation` is libav's. `cache` keeps filters from one frame to the next; each video has its own.
    """
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

    width, height = size
    key = ("sdr", size, kind, colours)
    before, after, *graph = cache.get(key) or cache.setdefault(key, [VideoReformatter(), VideoReformatter()])
    stored = before.reformat(picture, width, height, _PLANES, interpolation=interpolation, threads=1)
    if not graph:
        graph = [_graph(colours, stored)]
        cache[key] += graph
    graph[0].push(stored)
    sdr = graph[0].pull()
    sdr.colorspace, sdr.color_range = Colorspace.ITU709, ColorRange.JPEG
    sdr.color_trc, sdr.color_primaries = ColorTrc.BT709, ColorPrimaries.BT709
    if kind in ("rgb24", "bgr24"):
        return after.reformat(sdr, format=kind, threads=1)
    return after.reformat(sdr, format=kind, dst_colorspace="ITU709", dst_color_range="MPEG", threads=1)


def colour_table(colours: Colours) -> Values:
    """Returns red, green and blue of BT.709 (0 to 1) for each colour of the grid: (33, 33, 33, 3), red slowest."""
    axis = np.linspace(0.0, 1.0, _GRID)
    codes = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    return tone_map(codes, colours)


def tone_map(codes: Values, colours: Colours) -> Values:
    """Converts colours (..., 3), encoded by their transfer function, 0 to 1, into those of BT.709, 0 to 1."""
    if colours.dynamic_range == "sdr":
        light = codes**_SDR_GAMMA
    else:
        nits = pq_light(codes) if colours.dynamic_range == "pq" else hlg_light(codes, colours.primaries)
        largest = nits.max(-1, keepdims=True)
        light = nits / np.maximum(largest, 1e-9) * compress_highlights(largest) / _WHITE_NITS
    return np.clip(light @ np.array(_TO_BT709[colours.primaries]).T, 0.0, 1.0) ** (1 / _SDR_GAMMA)


def pq_light(codes: Values) -> Values:
    """Returns the light in cd/m² of PQ values from 0 to 1: its EOTF (BT.2100-2, table 4)."""
    m1, m2, c1, c2, c3 = _PQ
    power = np.clip(codes, 0.0, 1.0) ** (1 / m2)
    return 10_000.0 * (np.maximum(power - c1, 0.0) / (c2 - c3 * power)) ** (1 / m1)


def pq_codes(nits: Values) -> Values:
    """Returns the PQ values of light in cd/m²: the inverse of `pq_light`."""
    m1, m2, c1, c2, c3 = _PQ
    power = (np.maximum(nits, 0.0) / 10_000.0) ** m1
    return ((c1 + c2 * power) / (1 + c3 * power)) ** m2


def hlg_light(codes: Values, primaries: int = _BT2020) -> Values:
    """Returns the cd/m² of HLG values (..., 3) from 0 to 1, on a display of 1,000 cd/m²: BT.2100-2, table 5."""
    a, b, c = _HLG
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    luminance = scene @ np.array(_LUMINANCE[primaries])
    return _PEAK_NITS * scene * np.maximum(luminance, 1e-9)[..., None] ** (_HLG_GAMMA - 1)


def compress_highlights(nits: Values) -> Values:
    """Maps light of up to 1,000 cd/m² to at most 203, by the EETF of BT.2390 without a lift of black."""
    peak = float(pq_codes(np.array(_PEAK_NITS)))
    max_code = float(pq_codes(np.array(_WHITE_NITS))) / peak
    knee = 1.5 * max_code - 0.5
    codes = np.minimum(pq_codes(nits) / peak, 1.0)
    t = np.maximum(codes - knee, 0.0) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * max_code
    return pq_light(np.where(codes < knee, codes, spline) * peak)


_PQ = (2610 / 16384, 2523 / 4096 * 128, 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32)
_HLG = (0.17883277, 0.28466892, 0.55991073)


@functools.cache
def _cube(colours: Colours) -> str:
    """Returns the table as a .cube file, in which red is fastest."""
    rows = colour_table(colours).transpose(2, 1, 0, 3).reshape(-1, 3)
    lines = "\n".join(f"{red:.6f} {green:.6f} {blue:.6f}" for red, green, blue in rows.tolist())
    return f"LUT_3D_SIZE {_GRID}\n{lines}\n"


def _graph(colours: Colours, template: av.VideoFrame) -> Any:
    """Returns a filter graph that applies the table to pictures like `template`."""
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=template.width,
        height=template.height,
        format=template.format,
        time_base=template.time_base or _ANY_TIME_BASE,
    )
    with tempfile.TemporaryDirectory(prefix="rzen-corpus-colours-") as folder:
        path = Path(folder) / "table.cube"  # the filter reads it once, and only from a file
        path.write_text(_cube(colours), encoding="ascii")
        table_filter = graph.add("lut3d", file=str(path), interp="tetrahedral")
    sink = graph.add("buffersink")
    graph.link_nodes(source, table_filter, sink).configure()
    return graph
