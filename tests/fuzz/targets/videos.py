"""Readers of videos and of PDFs."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from corpus.bisection import ShardError
from corpus.stage import ITEMS, ROWS
from corpus.storage import StorageError
from pipelines.sources.images.pdf import PdfSettings, render_pages
from video.budget import VideoError
from video.clips import ClipSettings
from video.probe import probe, quick_probe
from video.stages.clips import Clips, ClipsSettings
from video.transcode.cut import CutSettings

from ..formats import TEXT, box_size
from ..target import Reader, Target, Unexpected

_FORMATS = (  # container, codec, pixel format
    ("mp4", "libx264", "yuv420p"),
    ("mp4", "mpeg4", "yuv420p"),
    ("matroska", "libx264", "yuv420p"),
    ("avi", "mpeg4", "yuv420p"),
    ("flv", "flv", "yuv420p"),
    ("mpegts", "mpeg2video", "yuv420p"),
    ("mpeg", "mpeg1video", "yuv420p"),
    ("vob", "mpeg2video", "yuv420p"),
    ("gif", "gif", "rgb8"),
    ("webm", "libvpx", "yuv420p"),
    ("mov", "mjpeg", "yuvj420p"),
    ("asf", "msmpeg4v2", "yuv420p"),
)


def video_seeds() -> list[bytes]:
    """A second of 64 by 48 pixels, with a cut in it, in twelve formats."""
    import av

    found = []
    for container, codec, pixels in _FORMATS:
        file = io.BytesIO()
        with av.open(file, "w", format=container, options={"fflags": "+bitexact"}) as out:
            rate = 25 if codec == "mpeg1video" else 12  # it has a code for few rates
            stream: Any = out.add_stream(codec, rate=rate)
            stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
            stream.time_base = stream.codec_context.time_base = Fraction(1, rate)
            stream.gop_size, stream.thread_count = 6, 1
            stream.codec_context.flags |= av.codec.context.Flags.bitexact
            for number in range(14):
                level = 40 + 10 * number if number < 7 else 200 - 5 * number
                picture = np.full((48, 64, 3), level, np.uint8)
                picture[:: number + 2] = 255 - level
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
                frame.pts, frame.time_base = number, Fraction(1, rate)
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
        found.append(file.getvalue())
    return found


def _changing_seeds(folder: Path) -> list[bytes]:
    """Videos whose frames change their size, and some with sound, in the middle of which its rate changes."""
    from tests.helpers import changing

    sizes = [((64, 48), 5), ((96, 64), 4), ((64, 48), 5)]
    made = [changing.changing_video(folder / kind, sizes) for kind in changing.KINDS]
    made.append(changing.sounding_video(folder / "a.mkv", [24_000, 16_000], "mp2"))
    made.append(changing.sounding_video(folder / "a.mov", [8_000], "pcm_s16le", seconds=2))
    return [path.read_bytes() for path in made]


def _probe(folder: Path) -> Reader:
    def read(data: bytes) -> object:
        try:
            return probe(io.BytesIO(data))
        except VideoError as error:
            if error.reason == "out_of_memory":  # libav's own bound on what a file may claim: nothing was taken
                return error.reason
            raise

    return Reader(read, video_seeds(), (VideoError, StorageError), (box_size,))


def _glance(folder: Path) -> Reader:
    return Reader(lambda data: quick_probe(io.BytesIO(data)), video_seeds(), (StorageError,), (box_size,))


def _clips(folder: Path) -> Reader:
    """The whole stage: cuts, frames, mp4s and sound, of videos that are measured by it and of those that were looked at
    before. What it takes for no fault of the video is a row of its own reason.
    """
    from tests.helpers import clip_shards

    path = folder / "a.mp4"
    clips = ClipSettings(min_s=0.3, max_s=1.0, boundary_trim_s=0.0)
    stage = Clips(ClipsSettings(mp4=True, clips=clips, cut=CutSettings(audio=True)))

    def read(data: bytes) -> object:
        path.write_bytes(data)
        known = {"first_frame_s": 0.0, "duration_s": 2.0} if len(data) % 2 else {"first_frame_s": None}
        tables = {ROWS: [clip_shards.video_row(path, **known)], ITEMS: [clip_shards.in_place(path)]}
        rows = clip_shards.run_clips(folder, stage, tables[ROWS], tables[ITEMS])
        for row in rows:
            if row["reason"].startswith("error:"):
                raise Unexpected(f"{row['reason']}: {row['detail']}")
        return [row["reason"] for row in rows]

    seeds = [*video_seeds(), *_changing_seeds(folder)]
    return Reader(read, seeds, (ShardError, StorageError), (box_size,))


def _pdf(folder: Path) -> Reader:
    from tests.helpers import small_pdfs

    box, content = small_pdfs.coloured(small_pdfs.RED)
    seeds = [small_pdfs.three_pages(), small_pdfs.pdf([(box, content), ("/MediaBox [0 0 9 9]", "0 0 1 rg /P Do")])]

    def read(data: bytes) -> object:
        return [page.error or len(page.image) for page in render_pages(data, [1, 2, 9], PdfSettings())]

    return Reader(read, seeds, (), TEXT)


TARGETS = (
    Target("videos.probe", 8_000, _probe),
    Target("videos.glance", 4_000, _glance),
    Target("videos.clips", 1_000, _clips),
    Target("pdfs.pages", 250, _pdf),
)
