"""Films of high dynamic range: patches that were lit as on an SDR display come back as they were."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from video.budget import VideoError
from video.decoding.decode import frames, open_container
from video.decoding.tone_mapping import Colours, compress_highlights, hlg_light, pq_codes, pq_light, tone_map
from video.frames import Downscaler
from video.probe import probe
from video.transcode.cut import cut_many

Values = NDArray[np.float64]

PATCH_PX = 32
PQ, HLG, BT2020, BT709 = 16, 18, 9, 1
# Written here independently, from ITU-R BT.2087 (linear BT.709 to linear BT.2020).
FROM_BT709 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
GREYS = [(level, level, level) for level in (0, 24, 48, 80, 112, 144, 168)]
COLOURS = [(150, 60, 60), (60, 150, 60), (60, 60, 150), (150, 150, 60), (60, 150, 150), (150, 60, 150), (120, 90, 40)]
BRIGHT = [(255, 255, 255), (235, 235, 235), (215, 215, 215), (190, 190, 190)] + [(255, 200, 160)] * 3
PATCHES = np.array([GREYS, COLOURS, BRIGHT], np.float64)  # as levels of an SDR picture


def light_of(levels: Values) -> Values:
    """cd/m², by red, green and blue of BT.2020, of an SDR display whose white is at 203 cd/m²."""
    return np.clip((levels / 255) ** 2.4 @ FROM_BT709.T, 0.0, None) * 203.0


def hlg_codes(nits: Values) -> Values:
    """What makes an HLG display of 1,000 cd/m² show this light: inverse OOTF, then OETF (ITU-R BT.2100)."""
    shown = nits / 1000
    luminance = np.maximum(shown @ np.array([0.2627, 0.6780, 0.0593]), 1e-12)[..., None]
    scene = shown * luminance ** ((1 - 1.2) / 1.2)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-12)) + c)


def film(
    path: Path, codes: Values, transfer: int, primaries: int, matrix: int, tag: int | None = None, frames: int = 12
) -> None:
    """A film of patches, 10 bits deep; a stripe moves through it, so that it is none of a single picture. `tag`: the
    matrix that it says it has, if that is another one.
    """
    luma = {9: (0.2627, 0.0593), 1: (0.2126, 0.0722)}[matrix]
    y = codes @ np.array([luma[0], 1 - sum(luma), luma[1]])
    blue, red = ((codes[..., at] - y) / (2 * (1 - weight)) for at, weight in ((2, luma[1]), (0, luma[0])))
    planes = [y * 876 + 64, blue * 896 + 512, red * 896 + 512]
    rows, columns = codes.shape[:2]
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "4", "x265-params": "log-level=error"}
        stream: Any = container.add_stream("libx265", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = columns * PATCH_PX, (rows + 1) * PATCH_PX, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.color_range = transfer, primaries, 1
        context.colorspace = tag or matrix
        for number in range(frames):
            picture = av.VideoFrame(stream.width, stream.height, "yuv420p10le")
            for plane, values in zip(picture.planes, planes, strict=True):
                side = PATCH_PX if plane.width == stream.width else PATCH_PX // 2
                pixels = np.frombuffer(plane, np.uint16).reshape(-1, plane.line_size // 2)
                pixels[: rows * side, : columns * side] = (
                    values.round().astype(np.uint16).repeat(side, 0).repeat(side, 1)
                )
                pixels[rows * side :] = 512 if side != PATCH_PX else 64
                if side == PATCH_PX:
                    pixels[rows * side :, number * 8 : number * 8 + 8] = 600
            picture.color_trc, picture.color_primaries, picture.colorspace = transfer, primaries, tag or matrix
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def patches_in(pixels: NDArray[np.uint8]) -> Values:
    """Middles of the patches, of a picture (height, width, 3)."""
    middles = [np.arange(count) * PATCH_PX + PATCH_PX // 2 for count in PATCHES.shape[:2]]
    return pixels[middles[0]][:, middles[1]].astype(np.float64)


@pytest.mark.parametrize("name", ["pq", "hlg"])
def test_patches_come_back_in_frames_and_in_mp4(tmp_path: Path, name: str) -> None:
    codes = pq_codes(light_of(PATCHES)) if name == "pq" else hlg_codes(light_of(PATCHES))
    film(tmp_path / "a.mp4", codes, PQ if name == "pq" else HLG, BT2020, 9)
    found = probe(tmp_path / "a.mp4")
    assert (found.dynamic_range, found.pixel_format) == (name, "yuv420p10le")
    with open_container(tmp_path / "a.mp4") as container:
        frame = next(frames(container))
        shown = patches_in(frame.rgb())
        grey = patches_in(np.repeat(frame.grey()[..., None], 3, 2))
        small = Downscaler(112)(frame)
    assert np.array_equal(patches_in(frame.bgr()), shown[..., ::-1])
    clip = next(cut_many(tmp_path / "a.mp4", [(0.0, 0.4)]))
    assert not clip.remuxed and clip.frames == 10
    with av.open(io.BytesIO(clip.data)) as container:
        picture = next(container.decode(video=0))
    tags = [int(getattr(picture, tag)) for tag in ("color_trc", "color_primaries", "colorspace", "color_range")]
    assert tags == [1, 1, 1, 1] and picture.format.name == "yuv420p"
    encoded = patches_in(picture.to_ndarray(format="rgb24"))
    # Light of up to 90 cd/m² as it was: what is compressed lies above. Between colours of the table a component that is
    # far below the others is up to twelve levels off.
    for pixels, more in ((shown, 0), (encoded, 4)):
        assert np.abs(pixels[0] - PATCHES[0]).max() <= 3 + more
        assert np.abs(pixels[1] - PATCHES[1]).max() <= 12 + more
        assert np.abs(pixels[1] - PATCHES[1]).mean() <= 2 + more
    assert np.abs(grey[0] - PATCHES[0]).max() <= 3
    # Brighter ones are darker than they were, in the same order, and of the same hue.
    whites = shown[2, :4]
    assert (np.diff(whites[:, 0]) < 0).all() and 220 <= whites[0, 0] <= 245
    assert np.ptp(whites, axis=1).max() <= 3
    warm, expected = (
        value / value.max() for value in ((shown[2, 5] / 255) ** 2.4, (BRIGHT[5] / np.float64(255)) ** 2.4)
    )
    assert np.abs(warm - expected).max() < 0.04
    assert np.abs(small[8, 40].astype(float) - frame.bgr()[16, 80]).max() <= 8


def test_light_beyond_sdr_is_compressed_and_never_clipped_before_1000_nits() -> None:
    nits = np.array([0.0, 0.1, 1.0, 10.0, 50.0, 85.0, 150.0, 203.0, 400.0, 700.0, 999.0, 1000.0, 4000.0])
    brought = compress_highlights(nits)
    assert brought[:6] == pytest.approx(nits[:6], rel=1e-6, abs=1e-9)
    assert (np.diff(brought[:12]) > 0).all()
    assert brought[-2:] == pytest.approx([203.0, 203.0], rel=1e-6)
    assert 150 < brought[7] < 175


def test_transfer_functions_have_the_values_of_the_standard() -> None:
    """BT.2408, table 1: reference white is at 58 % of PQ and 75 % of HLG; 1,000 cd/m² at 75 % and 100 %."""
    assert pq_codes(np.array([0.0, 203.0, 1000.0, 10_000.0])) == pytest.approx([0.0, 0.58, 0.75, 1.0], abs=0.003)
    assert pq_light(pq_codes(np.array([0.01, 5.0, 203.0, 4000.0]))) == pytest.approx([0.01, 5.0, 203.0, 4000.0])
    greys = hlg_light(np.array([[0.0] * 3, [0.75] * 3, [1.0] * 3]))[:, 1]
    assert greys == pytest.approx([0.0, 203.0, 1000.0], rel=0.01, abs=1e-6)


@pytest.mark.parametrize("primaries", [9, 12])
def test_a_wide_gamut_alone_is_brought_into_the_small_one(tmp_path: Path, primaries: int) -> None:
    """White and greys stay; what BT.709 can show keeps its colour, as another code than before."""
    colours = Colours("sdr", primaries)
    greys = np.linspace(0, 1, 9)[:, None].repeat(3, 1)
    assert tone_map(greys, colours) == pytest.approx(greys, abs=1e-3)
    assert tone_map(np.array([[0.8, 0.2, 0.2]]), colours)[0, 0] > 0.8
    if primaries == BT2020:
        codes = (np.clip((PATCHES / 255) ** 2.4 @ FROM_BT709.T, 0, None)) ** (1 / 2.4)
        film(tmp_path / "a.mp4", codes, 14, BT2020, 9)
        with open_container(tmp_path / "a.mp4") as container:
            frame = next(frames(container))
            assert frame.colours.dynamic_range == "sdr" and not frame.stored_as_displayed
            assert np.abs(patches_in(frame.rgb()) - PATCHES).max() <= 6


def test_sdr_is_left_as_it_is(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", PATCHES / 255, 1, BT709, 1)
    assert probe(tmp_path / "a.mp4").dynamic_range == "sdr"
    with open_container(tmp_path / "a.mp4") as container:
        frame = next(frames(container))
        assert frame.stored_as_displayed and np.abs(patches_in(frame.rgb()) - PATCHES).max() <= 5


def test_colours_without_a_matrix_are_refused(tmp_path: Path) -> None:
    codes = pq_codes(light_of(PATCHES))
    film(tmp_path / "a.mp4", codes, PQ, BT2020, 9, tag=14)
    with pytest.raises(VideoError, match=r"unsupported: .*ICtCp"):
        probe(tmp_path / "a.mp4")
