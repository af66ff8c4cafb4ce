"""A whole run whose vectors come from a server: what it is sent, and a search that it answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from corpus.settings import parse_settings
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.report.terminal import Terminal
from pipelines.runner import run
from pipelines.search import search_positives
from tests.helpers.fake_endpoint import Asked, FakeEndpoint
from tests.helpers.film_runs import samples
from tests.runs.test_run_mining import RIVERS, settings, write_set

DIMENSION = 32
FIND = "Find the passage: "


async def words_of(asked: Asked) -> web.Response:
    """A vector of which rivers a text names, and whether it came with an instruction."""
    text = asked.body["input"]
    vector = np.zeros(DIMENSION, np.float32)
    vector[[at for at, river in enumerate(RIVERS) if river in text]] = 1
    vector[len(RIVERS)] = 0.5
    vector[len(RIVERS) + 1] = 0.1 * text.startswith(FIND)
    return web.json_response({"data": [{"index": 0, "embedding": vector.tolist()}], "usage": {"prompt_tokens": 3}})


@pytest.fixture
def server() -> Iterator[FakeEndpoint]:
    started = FakeEndpoint(words_of)
    yield started
    started.stop()


def config_with(server: FakeEndpoint, home: Path) -> Config:
    encoder = {"kind": "openai", "model": "m", "endpoints": [server.url], "dimension": DIMENSION}
    stages: dict[str, Any] = {
        "embed": {
            "encoder": {**encoder, "encoding_format": "float", "shards_in_flight": 1},
            "instructions": {"text_retrieval": {"query": FIND}},
        },
        "negatives": {
            "num_negatives": 2,
            "perc_pos": 0.95,
            "max_positive_similarity": None,
            "datasets": {"rivers": {}},
        },
    }
    data = settings(home)
    for key in ("sources", "datasets"):
        del data[key]["squares"]
    del data["mixtures"]["hard"], data["mixtures"]["one"]["datasets"]["squares"]
    data["mixtures"]["one"]["datasets"]["rivers"] = {"negatives": 2}
    return parse_settings({**data, "stages": {**data["stages"], **stages}}, Config)


def test_queries_go_under_their_instruction_in_the_run_and_in_a_search(tmp_path: Path, server: FakeEndpoint) -> None:
    write_set(tmp_path / "set")
    config = config_with(server, tmp_path)
    assert run(config, Selection(), Terminal(quiet=True)).failed == []
    sent = [asked.body["input"] for asked in server.asked]
    queries = {f"{FIND}where does the river {river} rise" for river in RIVERS}
    assert queries <= set(sent) and not any(text.startswith(f"{FIND}The river") for text in sent)
    assert len(set(sent)) == len(sent) == 2 * len(RIVERS) + len(RIVERS) + 2, "each side once, in whatever shard it is"
    for sample in (each["json"] for each in samples(tmp_path / "corpus", "rivers")):
        (river,) = [river for river in RIVERS if river in sample["query"]["text"]]
        assert all(river not in negative["text"] for negative in sample["negatives"]), sample["query"]
    before = len(server.asked)
    (hit,) = search_positives(config, "what of the Cher", 1)
    assert "Cher" in hit.text
    assert [asked.body["input"] for asked in server.asked[before:]] == [f"{FIND}what of the Cher"]
