"""Searches the positives of mined datasets from outside: by a text, an image, or a pair's query; runs no stage.

It answers from the tables of the stage `embed` that exist, with the search and the scores of the stage `neighbours`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.image.pixel_budget import UndecodableError, decode_to_budget
from corpus.item_ids import join_id, split_ids
from corpus.item_index import read_locations
from corpus.pool import Pool
from corpus.schema import ITEM_ID
from corpus.search.exact import TopK
from corpus.settings import SettingsError
from corpus.stage import ITEMS, PAIRS
from corpus.text.keys import one_array
from corpus.vectors import Vectors, column_vectors, normalise
from corpus.workspace import Workspace
from mining.embed import EMBED
from mining.pool_blocks import pool_blocks
from pipelines.config import Config
from pipelines.plan import Plan, PlannedTable, Selection
from pipelines.status import plan_run
from serving.request import EmbedRequest, Pixels

_PAIR_ID_DIGITS = 32
_MAX_PATH = 4096  # characters


@dataclass(frozen=True)
class Hit:
    """A positive that was found: the pair that has it, and where its items lie."""

    score: float
    dataset: str
    pair_id: str  # hexadecimal digits
    query: str
    text: str
    media: tuple[str, ...]  # `tar:offset+size` of each item


def search_positives(config: Config, query: str, k: int, dataset: str | None = None) -> list[Hit]:
    """Finds the k nearest positives, the nearest first.

    `query` is the id of a pair (32 hexadecimal digits), the path of an image file, or else a text. Raises SettingsError
    where nothing is embedded, for an image that cannot be decoded, and for a pair or dataset that does not exist.
    """
    mined = config.stages.negatives.datasets
    if dataset is not None and dataset not in mined:
        raise SettingsError(f"--dataset {dataset}: none that is mined; there is {', '.join(mined) or 'none'}")
    plan = plan_run(config, Selection(), check=False)
    names = [dataset] if dataset is not None else list(mined)
    tables = {name: _tables(plan, name) for name in names}
    if not any(tables.values()):
        raise SettingsError("no vectors exist: name datasets in stages.negatives.datasets and run `rzen-corpus run`")
    workspace = Workspace(config.workspace)
    vectors = _query_vectors(config, workspace, tables, query)
    hits = [hit for name, found in tables.items() for hit in _nearest(workspace, name, found, vectors[name], k)]
    best = sorted(hits, key=lambda hit: (-hit.score, hit.pair_id))[:k]
    return list(_with_media(workspace, plan, best))


def is_pair_id(query: str) -> bool:
    """Tells whether a query has the form of a pair's id."""
    return len(query) == _PAIR_ID_DIGITS and set(query) <= set("0123456789abcdef")


def image_path(query: str) -> Path | None:
    """Returns the file that a query names, None for a text."""
    path = Path(query)
    return path if len(query) < _MAX_PATH and path.is_file() else None


def find_pair(config: Config, pair_id: str) -> Hit:
    """Finds a pair of the mined datasets by its id, with the places of its query's items. Raises SettingsError."""
    plan = plan_run(config, Selection(), check=False)
    workspace = Workspace(config.workspace)
    for name in config.stages.negatives.datasets:
        row = _pairs(workspace, _tables(plan, name), [bytes.fromhex(pair_id)]).get(bytes.fromhex(pair_id))
        if row is not None:
            items = tuple(item.hex() for item in row["query"]["items"])
            hit = Hit(1.0, name, pair_id, row["query"]["text"], row["positive"]["text"], items)
            return next(_with_media(workspace, plan, [hit]))
    raise SettingsError(f"no pair {pair_id} is embedded")


@dataclass(frozen=True)
class _Table:
    """The tables of one shard of a dataset."""

    pairs: str
    embed: str


def _tables(plan: Plan, dataset: str) -> list[_Table]:
    """Returns the shards of a dataset whose pairs are embedded."""
    found: dict[tuple[str, str], dict[str, PlannedTable]] = {}
    for step, planned in plan.steps:
        for table in planned:
            if table.node.dataset == dataset and table.state == "done" and step.name in (PAIRS, EMBED):
                found.setdefault((table.node.source, table.task.shard), {})[step.name] = table
    both = [each for each in found.values() if len(each) == 2]
    return [_Table(each[PAIRS].task.output, each[EMBED].task.output) for each in both]


def _query_vectors(
    config: Config, workspace: Workspace, tables: Mapping[str, Sequence[_Table]], query: str
) -> dict[str, Vectors]:
    """Computes the vector of the query for each dataset, float16[1, dimension]: under the instruction of its queries,
    where the encoder reads one.
    """
    if is_pair_id(query):
        return dict.fromkeys(tables, _vector_of_pair(config, workspace, tables, bytes.fromhex(query)))
    settings = config.stages.embed
    encoder = settings.encoder.encoder()
    text, images = query, tuple[Pixels, ...]()
    path = image_path(query)
    if path is not None:
        try:
            text, images = "", (decode_to_budget(path.read_bytes(), encoder.budget, settings.max_source_pixels),)
        except UndecodableError as error:
            raise SettingsError(f"{query}: no image that can be decoded: {error}") from error
    read = encoder.reads_instructions
    instructions = {name: _instruction(config, workspace, name, tables[name]) if read else "" for name in tables}
    client = encoder.open()
    try:
        answers = {each: client.submit(EmbedRequest(text, images, each)) for each in set(instructions.values())}
        responses = {each: answer.result() for each, answer in answers.items()}
    finally:
        client.close()
    for response in responses.values():
        if response.payload is None:
            raise SettingsError(f"{query!r} cannot be searched for: {response.error}")
    return {name: normalise(responses[each].payload[None, :]) for name, each in instructions.items()}


def _instruction(config: Config, workspace: Workspace, dataset: str, tables: Sequence[_Table]) -> str:
    """Returns the instruction of a dataset's queries: that of the settings, or else of its first pair."""
    override = config.stages.embed.overrides(config.datasets[dataset].task).get("query")
    if override is not None:
        return override
    for table in tables:
        queries = workspace.read_table(table.pairs, ["query"]).column("query").drop_null()
        if len(queries):
            return queries[0].as_py()["instruction"] or ""
    return ""


def _vector_of_pair(
    config: Config, workspace: Workspace, tables: Mapping[str, Sequence[_Table]], pair_id: bytes
) -> Vectors:
    """Returns the vector by which the pair's negatives are searched for."""
    for name, table in ((name, table) for name, found in tables.items() for table in found):
        column = f"{config.stages.negatives.of(name).search_by}_vector"
        found = workspace.read_table(table.embed, ["pair_id", column])
        row = found.filter(pc.equal(found.column("pair_id"), pa.scalar(pair_id, ITEM_ID))).slice(0, 1)
        if row.num_rows and row.column(column)[0].is_valid:
            return column_vectors(row.column(column))
    raise SettingsError(f"no pair {pair_id.hex()} has a vector")


def _nearest(workspace: Workspace, dataset: str, tables: Sequence[_Table], vector: Vectors, k: int) -> Iterator[Hit]:
    search, pair_ids = TopK(vector, k), []
    for block in pool_blocks(Pool(workspace.store.url, tuple(table.embed for table in tables))):
        search.add(block.side_ids, block.vectors)
        pair_ids.append(block.pair_ids)
    found = search.result()
    _, _, scores, positions = found.lists()
    known = np.concatenate([np.zeros((2, 0), np.uint64), *pair_ids], axis=1)[:, positions]
    rows = _pairs(workspace, tables, [join_id(each) for each in known.T])
    for score, each in zip(scores.tolist(), known.T, strict=True):
        row = rows[join_id(each)]
        yield Hit(
            score,
            dataset,
            join_id(each).hex(),
            row["query"]["text"],
            row["positive"]["text"],
            tuple(item.hex() for item in row["positive"]["items"]),
        )


def _pairs(workspace: Workspace, tables: Sequence[_Table], ids: Sequence[bytes]) -> dict[bytes, dict[str, dict]]:
    """Returns the query and the positive of pairs, by their ids."""
    found: dict[bytes, dict[str, dict]] = {}
    listed = pa.array(ids, ITEM_ID)
    for table in tables:
        rows = workspace.read_table(table.pairs, ["pair_id", "query", "positive"])
        for row in rows.filter(pc.is_in(rows.column("pair_id"), listed)).to_pylist():
            found.setdefault(row["pair_id"], row)
    return found


def _with_media(workspace: Workspace, plan: Plan, hits: Sequence[Hit]) -> Iterator[Hit]:
    """Returns the hits with the places of their items instead of the ids."""
    items = [bytes.fromhex(item) for hit in hits for item in hit.media]
    paths = {path for _, planned in plan.steps for each in planned for name, path in each.task.inputs if name == ITEMS}
    existing = sorted(path for path in paths if items and path and workspace.store.exists(path))
    ids = np.unique(split_ids(one_array(pa.array(items, ITEM_ID))), axis=1) if items else np.zeros((2, 0), np.uint64)
    ids = ids[:, np.lexsort((ids[1], ids[0]))]
    locations = read_locations(workspace, existing, ids)
    for hit in hits:
        rows = locations.find(split_ids(pa.array([bytes.fromhex(item) for item in hit.media], ITEM_ID)))
        places = [
            f"{locations.media_names[locations.media[row]]}:{locations.offset[row]}+{locations.size[row]}"
            for row in rows.tolist()
            if row >= 0
        ]
        yield Hit(hit.score, hit.dataset, hit.pair_id, hit.query, hit.text, tuple(places))
