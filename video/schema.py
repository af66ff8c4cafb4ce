"""The tables of the stages of clips: a row is a clip, or a part of a video that became none, with the reason."""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa

from corpus.schema import LOCATION_FIELDS, PARTS_FIELD, SHA256


class ClipKind(StrEnum):
    """The origin of a clip's times."""

    SCENES = "scenes"  # one scene or several, found by scene detection
    ANNOTATED = "annotated"  # an annotated interval
    WHOLE_VIDEO = "whole_video"  # all of a short video
    WINDOW = "window"  # a few minutes, of several clips


QUESTION = pa.struct([pa.field("question", pa.string()), pa.field("answer", pa.string())])

# One row for each clip. All times are seconds on a player's clock: 0 is the start of the container, which is before the
# first frame where the audio starts earlier.
CLIPS_SCHEMA = pa.schema(
    [
        *LOCATION_FIELDS,  # of the clip; only its id: see `corpus.schema.PART`
        PARTS_FIELD,  # its frames in the order of time, then its mp4, as the settings have it
        pa.field("url", pa.string()),  # of the video: a path or a URL
        pa.field("video", pa.string()),  # its name, which all its clips share, wherever it lies
        pa.field("home_shard", pa.int32()),  # number of the shard in which the video begins
        pa.field("licence", pa.string()),
        pa.field("downloaded_sha256", SHA256),  # of the video, where it was downloaded
        pa.field("duration_s", pa.float64()),  # of the video
        pa.field("kind", pa.string()),  # ClipKind
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("scenes", pa.int32()),  # number of scenes in it; 0: it is annotated
        pa.field("frame_times_s", pa.list_(pa.float64())),  # display times of its frames
        pa.field("dynamic_range", pa.string()),  # of the video: sdr, pq or hlg; frames and mp4 are SDR
        pa.field("width", pa.int32()),  # of its frames
        pa.field("height", pa.int32()),
        pa.field("mp4_frames", pa.int32()),
        pa.field("remuxed", pa.bool_()),  # its mp4 is a copy of the video's packets
        pa.field("sharpness", pa.float32()),  # see `video.frame_stats`
        pa.field("brightness", pa.float32()),
        pa.field("motion", pa.float32()),
        pa.field("black", pa.bool_()),
        pa.field("static", pa.bool_()),
        pa.field("hashes", pa.list_(pa.uint64())),  # pHashes of frames spread over it
        pa.field("text", pa.string()),  # its annotation's text; "": none
        pa.field("other_texts", pa.list_(pa.string())),  # texts of further annotations of the same interval
        pa.field("questions", pa.list_(QUESTION)),  # of its annotations
        pa.field("video_text", pa.string()),  # description of the whole video; the same on all its rows
        pa.field("video_questions", pa.list_(QUESTION)),  # about the whole video; on the video's first row only
        pa.field("video_other_texts", pa.list_(pa.string())),  # further ones; on the video's first row only
        pa.field("detail", pa.string()),  # of a reason, for people to read
    ]
)

GROUPS_SCHEMA = pa.schema(
    [
        *CLIPS_SCHEMA,
        pa.field("group", pa.string()),  # of clips that are each other's hard negatives; "": none
        pa.field("representative", LOCATION_FIELDS[0].type),  # of near duplicates; null: there are none
    ]
)

WINDOWS_SCHEMA = pa.schema([*GROUPS_SCHEMA, pa.field("context", pa.string())])  # texts of its clips, for the captioner
