"""What the stages of clips write: a row is a clip, or a part of a video that became none, with the reason."""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa

from corpus.schema import LOCATION_FIELDS, PARTS_FIELD, SHA256


class ClipKind(StrEnum):
    """Where a clip's times come from."""

    SCENES = "scenes"  # one scene or several, found in the picture
    ANNOTATED = "annotated"  # an interval that somebody described
    WHOLE_VIDEO = "whole_video"  # all of a short video
    WINDOW = "window"  # a few minutes, of several clips


QUESTION = pa.struct([pa.field("question", pa.string()), pa.field("answer", pa.string())])

# One row for each clip. All times are seconds as a player shows them: 0 is where the container begins, which is before
# the first frame where the sound begins earlier.
CLIPS_SCHEMA = pa.schema(
    [
        *LOCATION_FIELDS,  # of the clip; only its id: see `records.PART`
        PARTS_FIELD,  # its frames in the order of time, then its mp4, as the settings asked for them
        pa.field("url", pa.string()),  # of the video: a path or a URL
        pa.field("video", pa.string()),  # its name: what its clips have in common, wherever it lies
        pa.field("home_shard", pa.int32()),  # number of the shard in which the video begins
        pa.field("licence", pa.string()),
        pa.field("downloaded_sha256", SHA256),  # of the video, where it was downloaded
        pa.field("duration_s", pa.float64()),  # of the video
        pa.field("kind", pa.string()),  # ClipKind
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("scenes", pa.int32()),  # of which it is made; 0: it is annotated
        pa.field("frame_times_s", pa.list_(pa.float64())),  # when its frames are seen
        pa.field("dynamic_range", pa.string()),  # of the video: sdr, pq or hlg; frames and mp4 are SDR
        pa.field("width", pa.int32()),  # of its frames
        pa.field("height", pa.int32()),
        pa.field("mp4_frames", pa.int32()),
        pa.field("remuxed", pa.bool_()),  # its mp4 holds the video's own packets
        pa.field("sharpness", pa.float32()),  # see `video.frame_stats`
        pa.field("brightness", pa.float32()),
        pa.field("motion", pa.float32()),
        pa.field("black", pa.bool_()),
        pa.field("static", pa.bool_()),
        pa.field("hashes", pa.list_(pa.uint64())),  # pHashes of pictures spread over it
        pa.field("text", pa.string()),  # what the annotation says of it; "": nothing
        pa.field("other_texts", pa.list_(pa.string())),  # what further annotations say of the very same interval
        pa.field("questions", pa.list_(QUESTION)),  # about it
        pa.field("video_text", pa.string()),  # what is said of the whole video; the same on all its rows
        pa.field("video_questions", pa.list_(QUESTION)),  # about the whole; on the video's first row only
        pa.field("video_other_texts", pa.list_(pa.string())),  # of the whole; on the video's first row only
        pa.field("detail", pa.string()),  # of a reason, for people
    ]
)

GROUPS_SCHEMA = pa.schema(
    [
        *CLIPS_SCHEMA,
        pa.field("group", pa.string()),  # of clips that are each other's hard negatives; "": none
        pa.field("representative", LOCATION_FIELDS[0].type),  # of alike clips, the one that stays; null: none is alike
    ]
)

WINDOWS_SCHEMA = pa.schema([*GROUPS_SCHEMA, pa.field("context", pa.string())])  # what is known of it, for a captioner
