"""Whole videos in one call: their cuts, their clips, and one clip as an mp4."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from video.budget import VideoError
from video.clips import Clip, ClipMaker, ClipSettings, Scene
from video.decoding.decode import frames, open_container
from video.decoding.files import VideoSource
from video.detection.cuts import Cut, CutFinder, DetectSettings
from video.frames import Downscaler
from video.transcode.cut import DAMAGED, CutSettings, cut_many


def clips_of(scenes: Iterable[Scene], settings: ClipSettings) -> list[Clip]:
    """Returns the clips of all scenes of a video, which are in order and don't overlap."""
    maker = ClipMaker(settings)
    clips = [clip for scene in scenes for clip in maker.push(scene)]
    return clips + maker.finish()


def find_cuts(source: VideoSource, settings: DetectSettings) -> list[Cut]:
    """Returns the cuts of a whole video, by detection alone: no frame is kept."""
    finder, cuts, downscale = CutFinder(settings), [], Downscaler(settings.detect_side_px)
    with open_container(source) as container:
        for frame in frames(container):
            cuts += finder.feed(frame.time_s, downscale(frame))
    return cuts + finder.finish()


@dataclass(frozen=True)
class CutResult:
    """The number of frames of a written clip, and whether it is a copy."""

    frames: int
    remuxed: bool


def cut_mp4(
    source: VideoSource,
    start_s: float,
    end_s: float,
    target: BinaryIO | str | Path,
    settings: CutSettings | None = None,
) -> CutResult:
    """Writes the frames with `start_s` <= time < `end_s` as an mp4, which begins with the first of them at time 0.

    Raises VideoError for what can't be read or is damaged, and ValueError, where no frame lies in the interval; before
    anything is written.
    """
    clip = next(cut_many(source, [(start_s, end_s)], settings))
    if clip.reason == DAMAGED:
        raise VideoError("broken", f"too few frames from {start_s} s to {end_s} s can be decoded")
    if not clip.frames:
        raise ValueError(f"no frame from {start_s} s to {end_s} s")
    if isinstance(target, (str, Path)):
        Path(target).write_bytes(clip.data)
    else:
        target.write(clip.data)
    return CutResult(clip.frames, clip.remuxed)
