"""The schema of the caption table, and the names of the stages that write it."""

from __future__ import annotations

import pyarrow as pa

CAPTION = "caption"  # also the key in `Shard.metrics`, for either stage
WINDOW_CAPTION = "window_caption"
CAPTION_SCHEMA = pa.schema(
    [
        pa.field("caption", pa.string()),  # null where there is none
        pa.field("caption_model", pa.string()),
        pa.field("caption_revision", pa.string()),
        pa.field("prompt", pa.string()),  # its id
        pa.field("sampling", pa.string()),  # JSON
        pa.field("seed", pa.int64()),
        pa.field("finish_reason", pa.string()),
        pa.field("prompt_tokens", pa.int32()),
        pa.field("completion_tokens", pa.int32()),
        pa.field("attempts", pa.int32()),
        pa.field("truncated", pa.bool_()),  # to its last complete sentence, because the limit of tokens cut it off
        pa.field("reject_reason", pa.string()),  # why there is no caption; "" where there is one
        pa.field("key", pa.binary(16)),  # of the request: see serving.result_cache
    ]
)
