"""What a good model answers about flat images, and the table of captions that comes of it."""

from __future__ import annotations

from pathlib import Path

from corpus.workspace import TableKey
from serving.request import GenerateRequest, GenerateResponse
from tests.helpers.caption_shards import number_of


def caption_of(number: int) -> str:
    return f"A flat picture that shows the colour with the number {number}."


def good_response(request: GenerateRequest) -> GenerateResponse:
    """What a good model says."""
    return GenerateResponse(caption_of(number_of(request.images[0])), "stop", 100, 10)


def caption_table(root: Path, task):
    from corpus.workspace import Workspace

    return Workspace(root).read_table(TableKey("tables", task.source, "caption").path(task.shard, "f"))
