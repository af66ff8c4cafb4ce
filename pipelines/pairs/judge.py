"""Stage `judge`, over the pairs of a dataset: a model says which of their hardest candidates answer the query, too.

Only candidates that pass the rules of `negatives` are judged, and the negatives that pairs came with: what is left out
anyway costs nothing. Scores are kept whatever they are, so another threshold asks for nothing again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.bisection import ShardError
from corpus.item_ids import find_ids, packed_ids, split_ids
from corpus.pool import Pool, PoolRead, PoolScope
from corpus.schema import ITEM_ID
from corpus.stage import ITEMS, PAIRS, Gives, MapStage, Shard, SourceInfo
from mining.candidates import CandidateLists, Dataset, neighbour_lists
from mining.choose import Choice, Rules, choose
from mining.judge import JUDGE, Judge, Judgements, JudgeSettings, Question, QuestionSide
from mining.neighbours import NEIGHBOURS
from mining.settings import DatasetMining, NeighbourSettings
from pipelines.labels.vocabulary import LabelNames
from pipelines.pairs.clusters import CLUSTERS
from pipelines.pairs.mined_dataset import mining_rules, read_dataset
from serving.request import BackendError

OF_MINED, OF_EXISTING = "mined", "existing"
_NEGATIVES = "negatives"  # the column of the pairs
JUDGE_SCHEMA = pa.schema(
    [
        pa.field(f"{OF_MINED}_ids", pa.list_(ITEM_ID)),  # ids of sides, the best candidate first
        pa.field(f"{OF_MINED}_scores", pa.list_(pa.float32())),  # null: the model gave none
        pa.field(f"{OF_MINED}_keys", pa.list_(ITEM_ID)),
        pa.field(f"{OF_EXISTING}_scores", pa.list_(pa.float32())),  # of the negatives that the pair came with
        pa.field(f"{OF_EXISTING}_keys", pa.list_(ITEM_ID)),
    ]
)
_PLACES = {f"{each}_keys": {"key": f"{each}_keys", "score": f"{each}_scores"} for each in (OF_MINED, OF_EXISTING)}
_THRESHOLDS = ("judge_drop", "judge_positive")  # settings of `negatives` that change no score


class JudgePairs(MapStage):
    """Scores of candidates by a model that answers Yes or No, for the datasets that the settings name."""

    name = JUDGE
    reads = (PAIRS, NEIGHBOURS)
    settings_key = JUDGE
    settings_type = JudgeSettings
    schema = JUDGE_SCHEMA
    over = frozenset(Gives)
    over_pairs = True
    filters_rows = False
    summary = "how sure a model is that its hardest candidates answer the query, too"

    def __init__(
        self,
        settings: JudgeSettings,
        mining: DatasetMining,
        names: LabelNames,
        clusters: bool = False,
        k: int = NeighbourSettings().k,
    ) -> None:
        super().__init__(settings)
        self._settings = settings
        self._mining = mining
        self._names = names
        self._k = k
        self.resources = settings.resources
        of_pairs = (PAIRS, NEIGHBOURS, *((CLUSTERS,) if clusters else ()))
        self.pools = (*map(PoolRead, of_pairs), PoolRead(ITEMS, PoolScope.SOURCES, fingerprinted=False))

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        settings: JudgeSettings = cls.settings_of(source)
        named = not settings.datasets or source.dataset in settings.datasets
        return super().applies_to(source) and settings.backend is not None and named and NEIGHBOURS in source.tables

    @classmethod
    def create(cls, source: SourceInfo) -> JudgePairs:
        stages = source.stages
        mining = stages.negatives.of(source.dataset)
        return cls(cls.settings_of(source), mining, stages.labels.lists, CLUSTERS in source.tables, stages.neighbours.k)

    def fingerprint_inputs(self) -> dict[str, Any]:
        rules = {name: value for name, value in self._mining.canonical().items() if name not in _THRESHOLDS}
        return {
            "producer": self._settings.producer,
            "prompt": self._settings.prompt,
            "candidates": self._settings.candidates,
            "max_source_pixels": self._settings.max_source_pixels,
            "mining": rules,
            "names": self._names.canonical(),
        }

    def setup(self) -> Callable[[Shard], pa.Table]:
        return _JudgeWorker(self._settings, self._mining, self._names, self._k)


class _JudgeWorker:
    """The function of the stage in one worker. Thread-safe."""

    def __init__(self, settings: JudgeSettings, mining: DatasetMining, names: LabelNames, k: int) -> None:
        self._judge = Judge(settings, _PLACES)
        self._mining = mining
        self._names = names
        self._rules = judge_rules(mining_rules(mining), settings.candidates)
        self._max_positives = k
        self._known: tuple[Mapping[str, Pool], Dataset] | None = None
        self._lock = threading.Lock()

    def __call__(self, shard: Shard) -> pa.Table:
        """Returns the scores of a shard's candidates, with the columns of JUDGE_SCHEMA."""
        dataset = self._dataset({name: pool for name, pool in shard.pools.items() if name != ITEMS})
        pairs = dataset.index.rows_of(split_ids(one_array(shard[PAIRS].column("pair_id"))))
        lists = neighbour_lists(one_array(shard[NEIGHBOURS].column(NEIGHBOURS)), dataset.index)
        max_positives = self._rules.positives_within(dataset.max_positives, self._max_positives)
        choice = choose(
            lists.candidates(dataset, pairs, self._mining.search_by == "positive"), self._rules, max_positives
        )
        queries = one_array(shard[PAIRS].column("query"))
        existing = one_array(shard[PAIRS].column(_NEGATIVES))
        questions = [*_mined_questions(queries, dataset, lists, choice), *_existing_questions(queries, existing)]
        try:
            answers = self._judge.answer(shard.store, shard.pools[ITEMS], questions)
        except BackendError as error:  # no row's fault: halving the shard would not find one
            raise ShardError(str(error)) from error
        reasons = {f"without/{reason}": number for reason, number in sorted(answers.reasons.items())}
        shard.metrics[JUDGE] = {"questions": len(questions), "from_cache": answers.from_cache, **reasons}
        return _table(dataset, lists, choice, existing, answers)

    def close(self) -> None:
        """Stops the model."""
        self._judge.close()

    def _dataset(self, pools: Mapping[str, Pool]) -> Dataset:
        with self._lock:
            if self._known is None or self._known[0] != pools:
                self._known = (dict(pools), read_dataset(pools, self._names))
            return self._known[1]


def judge_rules(rules: Rules, candidates: int) -> Rules:
    """Returns the rules by which so many candidates of a pair are chosen for the judge: those of `negatives`."""
    if rules.range_max is not None:
        candidates = min(candidates, rules.range_max - rules.range_min)
    return replace(rules, num_negatives=candidates)


def mined_scores(answers: pa.Table, lists: CandidateLists, dataset: Dataset) -> np.ndarray:
    """Returns the judge's score of each mined candidate of a shard, float32[m]; NaN where there is none."""
    ids, values = (one_array(answers.column(f"{OF_MINED}_{name}")) for name in ("ids", "scores"))
    sides = find_ids(dataset.index.sides, split_ids(ids.flatten()))
    return _values_at(_codes(_rows_of(ids), sides, dataset), values, _codes(lists.rows(), lists.sides, dataset))


def existing_scores(answers: pa.Table, lists: CandidateLists) -> np.ndarray:
    """Returns the judge's score of each negative that a shard's pairs came with, float32[m]; NaN: there is none."""
    values = one_array(answers.column(f"{OF_EXISTING}_scores"))
    starts = np.append(0, np.cumsum(pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)))
    numbers = values.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return np.asarray(numbers[starts[:-1][lists.rows()] + lists.places])


def _codes(rows: np.ndarray, sides: np.ndarray, dataset: Dataset) -> np.ndarray:
    return np.asarray(rows * max(1, dataset.index.sides.shape[1]) + sides)


def _values_at(known: np.ndarray, values: pa.ListArray, codes: np.ndarray) -> np.ndarray:
    """Returns the value beside each code, NaN where it is not among the known ones."""
    numbers = values.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    if not len(known):
        return np.full(len(codes), np.nan, np.float32)
    order = np.argsort(known, kind="stable")
    at = order[np.searchsorted(known, codes, sorter=order).clip(max=len(known) - 1)]
    return np.where(known[at] == codes, numbers[at], np.float32(np.nan))


def _rows_of(lists: pa.ListArray) -> np.ndarray:
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return np.repeat(np.arange(len(lists)), counts)


def _mined_questions(
    queries: pa.StructArray, dataset: Dataset, lists: CandidateLists, choice: Choice
) -> list[Question]:
    owners = dataset.index.owner[lists.sides[choice.chosen]]
    candidates = dataset.index.positives.take(pa.array(owners))
    return _questions(queries, lists.rows()[choice.chosen], candidates)


def _existing_questions(queries: pa.StructArray, existing: pa.ListArray) -> list[Question]:
    return _questions(queries, _rows_of(existing), existing.flatten())


def _questions(queries: pa.StructArray, rows: np.ndarray, candidates: pa.StructArray) -> list[Question]:
    instructions = queries.field("instruction").to_pylist()
    of_queries, of_candidates = _sides(queries), _sides(candidates)
    return [
        Question(instructions[row] or "", of_queries[row], candidate)
        for row, candidate in zip(rows.tolist(), of_candidates, strict=True)
    ]


def _sides(sides: pa.StructArray) -> Sequence[QuestionSide]:
    texts, items, clips = (sides.field(name) for name in ("text", "items", "clip"))
    rows = zip(items.to_pylist(), texts.to_pylist(), clips.is_valid().to_pylist(), strict=True)
    return [QuestionSide(tuple(ids or ()), text or "", is_clip) for ids, text, is_clip in rows]


def _table(
    dataset: Dataset, lists: CandidateLists, choice: Choice, existing: pa.ListArray, answers: Judgements
) -> pa.Table:
    none = np.isnan(answers.scores)
    scores, keys = pa.array(answers.scores, mask=none), pa.array(answers.keys, ITEM_ID, mask=none)
    mined = len(choice.chosen)
    counts = pc.fill_null(pc.list_value_length(existing), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(choice.offsets.astype(np.int32)), pa.array(np.append(0, np.cumsum(counts)).astype(np.int32))
    columns = [packed_ids(dataset.index.sides[:, lists.sides[choice.chosen]]), scores[:mined], keys[:mined]]
    of_mined = [pa.ListArray.from_arrays(offsets[0], column) for column in columns]
    of_existing = [pa.ListArray.from_arrays(offsets[1], column) for column in (scores[mined:], keys[mined:])]
    return pa.Table.from_arrays([*of_mined, *of_existing], schema=JUDGE_SCHEMA)
