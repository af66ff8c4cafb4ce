"""The plan of one dataset of a corpus: everything is decided before the first tar is written.

The driver reads the texts of one pairs table at a time, and keeps their hashes. For a pair of one image it
holds some 340 bytes at the peak, what it hands to the workers included (measured: 1M pairs, 335 MB, 4 s).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

from corpus.image.encode import JPEG_QUALITY
from corpus.item_ids import first_of_run, join_id, unique_ids
from corpus.item_index import Locations
from corpus.sampling import derive_seed, random_numbers
from corpus.schema import Modality
from corpus.stage import fingerprint
from corpus.urls import SIGNATURES
from corpus.workspace import Workspace
from pipelines.labels.vocabulary import LabelNames
from pipelines.publish.export import SELF, ExportTarget, PairRows
from pipelines.publish.mixture import (
    BatchRule,
    CandidatePairs,
    DatasetInput,
    MixtureDataset,
    MixtureSettings,
    PublishError,
    SampleOrder,
    arrange_dataset,
    order_seed,
    read_candidate_pairs,
    related_labels,
)
from pipelines.publish.pair_contents import ROLES, PairContents, read_pair_contents
from pipelines.publish.random_negatives import NegativeFill, fill_negatives
from pipelines.publish.sample import field_ext, make_sample_fields
from pipelines.publish.side_spread import equal_in_batch, repeated_sides, side_spread_order

FORMAT = 1  # of a corpus: raise it when the same pairs give other bytes


@dataclass(frozen=True, eq=False)
class DatasetPlan:
    """The plan of a dataset: which pairs are published, where, and what they consist of."""

    dataset: DatasetInput
    settings: MixtureDataset
    fingerprint: str  # of all that the bytes of its tars depend on
    candidates: CandidatePairs
    arranged: SampleOrder
    sides: PairContents
    fill: NegativeFill


def plan_dataset(
    workspace: Workspace,
    dataset: DatasetInput,
    mixture: MixtureSettings,
    names: LabelNames,
) -> DatasetPlan:
    """Choose, order and fill up; `names` say which labels contain which.

    Raises PublishError, which names the dataset, where that can't be done.
    """
    settings = mixture.datasets[dataset.name]
    try:
        candidates = read_candidate_pairs(workspace, dataset.tables)
        arranged = arrange_dataset(candidates, dataset.name, mixture, names)
        if not len(candidates):
            raise PublishError("it has no kept pairs; the funnel of its sources says why (`rzen-corpus status`)")
        if not len(arranged.chosen):
            raise PublishError(f"none of its {len(candidates)} kept pairs is published: no whole group of them fits")
        videos = dataset.modality == Modality.CLIP and settings.negatives > 0
        sides = read_pair_contents(workspace, dataset.tables, candidates, arranged, settings.negatives, videos)
        arranged, sides = _spread(candidates, arranged, sides, dataset.name, mixture)
        related = related_labels(candidates, names) if arranged.rule is BatchRule.LABEL_SPREAD else None
        seed = derive_seed(mixture.seed, dataset.name, "negatives")
        fill = fill_negatives(sides, candidates, arranged, seed, related)
        counts = sides.counts
        if len(fill.pair) and sides.own_negatives.any() and counts["negatives"] != counts["positive"]:
            raise PublishError(
                f"its negatives have {counts['negatives']} items and its positives {counts['positive']}, so positives "
                "can't fill up missing negatives: ask for fewer negatives"
            )
    except PublishError as error:
        raise PublishError(f"dataset {dataset.name}: {error}") from None
    made_from = _fingerprint(dataset, mixture, names if arranged.rule is BatchRule.LABEL_SPREAD else None, arranged)
    return DatasetPlan(dataset, settings, made_from, candidates, arranged, sides, fill)


def _spread(
    candidates: CandidatePairs, arranged: SampleOrder, sides: PairContents, name: str, mixture: MixtureSettings
) -> tuple[SampleOrder, PairContents]:
    """Pairs without groups and labels in the order that spreads equal sides, and how many meet in a batch."""
    query, positive = repeated_sides(sides.query_id), repeated_sides(sides.positive_id)
    if arranged.rule is BatchRule.SINGLE_DATASET:
        drawn = random_numbers(candidates.ids[:, arranged.chosen], order_seed(mixture, name))
        order = side_spread_order(drawn, query, positive, mixture.batch_size)
        if order is not None:
            sides, query, positive = sides.ordered(order), query[order], positive[order]
            arranged = replace(arranged, chosen=arranged.chosen[order], sides_spread=True)
    return replace(arranged, equal_sides=equal_in_batch(query, positive, mixture.batch_size)), sides


def _fingerprint(
    dataset: DatasetInput, mixture: MixtureSettings, names: LabelNames | None, arranged: SampleOrder
) -> str:
    settings = mixture.datasets[dataset.name]
    spread = [mixture.batch_size, names.canonical()] if names else []
    spread += [mixture.batch_size] if arranged.sides_spread else []
    return fingerprint(
        {
            "format": FORMAT,
            "dataset": [dataset.name, str(dataset.task), dataset.stage, str(dataset.modality)],
            "pairs": [[each.path, *each.later] for each in dataset.tables],
            "settings": [
                *(mixture.seed, mixture.pairs_per_shard, mixture.jpeg_quality),
                *(settings.pairs, settings.negatives, *spread),
            ],
            "signatures": list(mixture.signatures),
        }
    )


def item_ids(plans: Iterable[DatasetPlan]) -> np.ndarray:
    """The ids of all items that the plans name, ascending, uint64[2, n]."""
    return unique_ids(ids for plan in plans for table in plan.sides.tables for ids in table.values())


def refuse_shared_pairs(plans: Sequence[DatasetPlan]) -> None:
    """Raise PublishError if two datasets publish the same pair id: keys must be unique over the corpus."""
    ids = np.concatenate([plan.candidates.ids[:, plan.arranged.chosen] for plan in plans], axis=1)
    ids = ids[:, np.lexsort((ids[1], ids[0]))]
    shared = ids[:, ~first_of_run(ids)]
    if shared.size:
        raise PublishError(f"{shared.shape[1]} pairs are in two datasets, {join_id(shared[:, 0]).hex()} among them")


def make_export_target(
    plan: DatasetPlan,
    locations: Locations,
    first_key: int,
    signatures: tuple[str, ...] = SIGNATURES,
    jpeg_quality: int = JPEG_QUALITY,
) -> ExportTarget:
    """Make what workers must know of a dataset. Raises PublishError for items that can't be read or named.

    `signatures` are left out of its URLs; `jpeg_quality` is of images that are written anew.
    """
    name, dataset = plan.dataset.name, plan.dataset
    exts = {role: _exts(plan, role, locations) for role in ROLES}
    if len(plan.fill.pair):
        if plan.sides.own_negatives.any() and exts["negatives"] != exts["positive"]:
            raise PublishError(
                f"dataset {name}: its negatives are {' and '.join(exts['negatives'])} and its positives "
                f"{' and '.join(exts['positive'])}, so positives can't fill up missing negatives: ask for fewer"
            )
        exts["negatives"] = exts["positive"]
    layout = make_sample_fields(exts, plan.settings.negatives, dataset.modality == Modality.CLIP)
    return ExportTarget(
        name, str(dataset.task), dataset.stage, layout, plan.fingerprint, first_key, signatures, jpeg_quality
    )


def _exts(plan: DatasetPlan, role: str, locations: Locations) -> tuple[str, ...]:
    """The field extensions of the items of a role, the same in all pairs."""
    where, count = f"dataset {plan.dataset.name}", plan.sides.counts[role]
    ids = np.concatenate([np.zeros((2, 0), np.uint64), *(t[role] for t in plan.sides.tables if role in t)], axis=1)
    rows = locations.find(ids)
    if (rows < 0).any():
        missing = ids[:, rows < 0]
        raise PublishError(
            f"{where}: no item table says where item {join_id(missing[:, 0]).hex()} lies "
            f"({missing.shape[1]} such items, as {role})"
        )
    exts = []
    for number, codes in enumerate(locations.ext[rows].reshape(-1, count).T if count else ()):
        found = sorted({field_ext(locations.exts[code]) for code in np.unique(codes)})
        if len(found) > 1:
            which = f"its items as {role}" if count == 1 else f"its items number {number} as {role}"
            raise PublishError(f"{where}: {which} are {' and '.join(found)}: split the dataset")
        exts.append(found[0])
    return tuple(exts)


def pair_rows(
    plan: DatasetPlan, target: ExportTarget, locations: Locations, finished: AbstractSet[int]
) -> list[PairRows]:
    """The rows of each pairs table that must be read for the tars that aren't finished."""
    chosen, fill, shard = plan.arranged.chosen, plan.fill, plan.arranged.shard
    pairs = np.concatenate([chosen, chosen[fill.donor]])
    goes_to = np.concatenate([np.arange(len(chosen)), fill.pair])  # in published order
    slot = np.concatenate([np.full(len(chosen), SELF), fill.slot])
    wanted = ~np.isin(shard[goes_to], list(finished))
    pairs, goes_to, slot = pairs[wanted], goes_to[wanted], slot[wanted]
    tables = plan.candidates.table[pairs]
    order = np.argsort(tables, kind="stable")
    ends = np.searchsorted(tables[order], np.arange(len(plan.dataset.pairs)), side="right")
    items = []
    for table, ids, rows in zip(plan.dataset.tables, plan.sides.tables, np.split(order, ends[:-1]), strict=True):
        if len(rows):
            places = locations.take(locations.find(unique_ids(ids.values())))
            key = np.uint64(target.first_key) + shard[goes_to[rows]].astype(np.uint64)
            position = plan.arranged.position[goes_to[rows]]
            row = plan.candidates.row[pairs[rows]].astype(np.int64)
            items.append(PairRows(target, table, row, key, position, slot[rows], places))
    return items
