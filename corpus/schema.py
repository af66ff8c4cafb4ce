"""The vocabulary of the corpus and the Arrow schemas of items and pairs.

Every table of a shard has one row for each row of the shard, in the shard's order, so joining two tables of a
shard is putting their columns side by side. Every table ends with `status` and `reason`: what has become of the
row so far, this stage and the ones before it included.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import pyarrow as pa

from corpus.hashing import digest


class Status(StrEnum):
    """The status of a row. No row is ever deleted: rows in = the sum over these four."""

    KEPT = "kept"
    FILTERED = "filtered"
    DUPLICATE = "duplicate"
    FAILED = "failed"


class Task(StrEnum):
    """The trainer's tasks: seven that carry their own temperature in the recipe, and stage 1's text pairs."""

    IMAGE_CLASSIFICATION = "image_classification"
    IMAGE_QA = "image_qa"
    IMAGE_RETRIEVAL = "image_retrieval"
    IMAGE_GROUNDING = "image_grounding"
    DOCUMENT_RETRIEVAL = "document_retrieval"
    VIDEO_RETRIEVAL = "video_retrieval"
    VIDEO_QA = "video_qa"
    TEXT_RETRIEVAL = "text_retrieval"


class Modality(StrEnum):
    """The kind of content of an item."""

    IMAGE = "image"
    CLIP = "clip"
    PAGE = "page"
    TEXT = "text"


class Origin(StrEnum):
    """The origin of a hard negative."""

    MINED = "mined"
    FROM_SOURCE = "given"
    CLIP_SIBLING = "clip_sibling"
    RANDOM = "random"


class CaptionOrigin(StrEnum):
    """The origin of a pair's text: the data, or a captioner."""

    ORIGINAL = "original"
    GENERATED = "generated"


ITEM_ID_BYTES = 16
ITEM_ID = pa.binary(ITEM_ID_BYTES)
SHA256 = pa.binary(32)

PDQ_FIELDS = (  # of the stage `image_stats`, where its settings ask for them: see corpus.image.pdq
    pa.field("pdq", pa.binary(32)),
    pa.field("pdq_quality", pa.int8()),  # 0 to 100
)

STATUS_FIELDS = (
    pa.field("status", pa.string(), nullable=False),
    pa.field("reason", pa.string(), nullable=False),
)

# Where an item's bytes lie. `media` is a path inside the workspace, or a full URL of a tar that was taken in where
# it lies. A gather stage's table ends with these fields; they are the offset index of its media tars.
LOCATION_FIELDS = (
    pa.field("item_id", ITEM_ID),
    pa.field("media", pa.string()),
    pa.field("offset", pa.int64()),
    pa.field("size", pa.int64()),
    pa.field("ext", pa.string()),
)

PLACE_FIELDS = ("media", "offset")  # of these fields: where, not what; another attempt at a download gives others

# What an item consists of where its bytes are not one range: a clip's frames, in the order of time, then its mp4. Each
# part is an item itself, with an id of its own. Such an item's own id hashes the contents of its parts one after the
# other, and it has no place of its own: media, offset, size and ext are null.
PART = pa.struct(list(LOCATION_FIELDS))
PARTS_FIELD = pa.field("parts", pa.list_(PART))
FRAME_EXT, VIDEO_EXT = "jpg", "mp4"  # of the parts of a clip

# Which part of which video a side shows; null where it is no clip. Times are seconds from the video's first frame.
CLIP = pa.struct(
    [
        pa.field("video", pa.string()),  # 32 hexadecimal digits, equal for the clips of a video
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
    ]
)

_SIDE = pa.struct(
    [
        pa.field("instruction", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("items", pa.list_(ITEM_ID), nullable=False),
        pa.field("clip", CLIP),
    ]
)

PAIR_SCHEMA = pa.schema(
    [
        pa.field("pair_id", ITEM_ID),
        pa.field("query", _SIDE),
        pa.field("positive", _SIDE),
        pa.field(
            "negatives",
            pa.list_(
                pa.struct(
                    [
                        pa.field("text", pa.string(), nullable=False),
                        pa.field("items", pa.list_(ITEM_ID), nullable=False),
                        pa.field("clip", CLIP),
                        pa.field("score", pa.float32(), nullable=False),
                        pa.field("origin", pa.string(), nullable=False),
                        # What mining found of it; null of a negative that was not looked at.
                        pa.field("rank", pa.int32()),  # among the neighbours of its pair, from 0
                        pa.field("positive_similarity", pa.float32()),  # of the positive and it
                        pa.field("judge", pa.float32()),  # how sure a judge is that it answers the query, 0 to 1
                    ]
                )
            ),
        ),
        pa.field("positive_score", pa.float32()),
        pa.field("group", pa.string()),
        pa.field("label", pa.string()),
        pa.field("in_batch_negatives", pa.bool_()),  # false: the dataset's pairs are no negatives of each other
        pa.field("caption_origin", pa.string()),
        pa.field("caption_model", pa.string()),
        pa.field("caption_prompt", pa.string()),
        pa.field("source_url", pa.string()),
        pa.field("source_sha256", SHA256),
        pa.field("licence", pa.string()),
    ]
)

# Which pairs of a dataset must not be each other's in-batch negatives, as stages after `pairs` find it.
PAIR_RELATIONS = (
    pa.field("query_cluster", pa.string()),  # the family of equal or nearly equal sides; "" or null: it is alone
    pa.field("positive_cluster", pa.string()),
    pa.field("false_negatives", pa.list_(ITEM_ID)),  # ids of pairs, the nearest first
)
# What mining adds to pairs besides their negatives.
MINED_FALSE_NEGATIVES = pa.field("mined_false_negatives", pa.list_(ITEM_ID))  # ids of pairs, the nearest first
PAIR_RANK = pa.field("positive_rank", pa.int32())  # of its positive among its neighbours, from 0; null, -1: not found
MAX_FALSE_NEGATIVES = 32
# How well the text of a pair fits its picture, by a CLIP, from -1 to 1; null, -1: there is no score.
TEXT_IMAGE_SCORE = pa.field("text_image_score", pa.float32())

# Where a pair came from, and the columns of a source's rows that tell it; see `corpus.stage.Stage.origin_columns`.
PAIR_ORIGIN = {"source_url": "url", "licence": "licence"}


def item_id(content: bytes) -> bytes:
    """Returns an item's id: the first 16 bytes of the SHA-256 of its stored content."""
    return id_of_digest(hashlib.sha256(content).digest())


def id_of_digest(sha256: bytes) -> bytes:
    """Returns the id of an item whose stored content has this SHA-256."""
    return sha256[:ITEM_ID_BYTES]


def pair_id(dataset: str, *parts: str | bytes) -> bytes:
    """Returns a pair's id, 16 bytes: a hash of its dataset and of what makes the pair itself (texts and item ids)."""
    return digest(dataset, *parts)


def table_schema(columns: pa.Schema) -> pa.Schema:
    """Returns the schema as written: the stage's own columns, then `status` and `reason`."""
    measured = [field for field in columns if field.name not in ("status", "reason")]
    return pa.schema([*measured, *STATUS_FIELDS])
