"""Plans the export of one dataset: all decisions are made before the first tar is written.

The driver reads the texts of one pairs table at a time, and keeps their hashes. For a pair of one image it holds some
340 bytes at the peak, including what it sends to the workers (measured: 1M pairs, 335 MB, 4 s).
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
from corpus.workspace import Workspace, identity_of_path
from pipelines.labels.vocabulary import LabelNames
from pipelines.publish.batch_order import ChosenPairs, community_order
from pipelines.publish.candidates import CandidatePairs, places_by_table, read_candidate_pairs
from pipelines.publish.communities import Exclusions, separate
from pipelines.publish.export import SELF, ExportTarget, PairRows
from pipelines.publish.mixture import DatasetInput, MixtureDataset, MixtureSettings, PublishError
from pipelines.publish.pair_contents import ROLES, PairContents, read_pair_contents
from pipelines.publish.random_negatives import NegativeFill, fill_negatives
from pipelines.publish.sample import field_ext, make_sample_fields
from pipelines.publish.sample_order import BatchRule, SampleOrder, arrange_dataset, order_seed, related_labels
from pipelines.publish.side_spread import equal_in_batch, repeated_sides, side_spread_order

FORMAT = 2  # of a corpus: to be raised with every change that gives other bytes for the same pairs


@dataclass(frozen=True, eq=False)
class DatasetPlan:
    """The plan of a dataset: the pairs that are published, their order, contents and random negatives."""

    dataset: DatasetInput
    settings: MixtureDataset
    fingerprint: str  # of everything that the bytes of its tars depend on
    candidates: CandidatePairs
    sample_order: SampleOrder
    contents: PairContents
    negative_fill: NegativeFill


def plan_dataset(
    workspace: Workspace,
    dataset: DatasetInput,
    mixture: MixtureSettings,
    label_names: LabelNames,
) -> DatasetPlan:
    """Selects and orders the pairs of a dataset, and draws missing negatives.

    `label_names` tell which labels contain others. Raises PublishError, which names the dataset, where it can't be
    published.
    """
    settings = mixture.datasets[dataset.name]
    try:
        candidates = read_candidate_pairs(workspace, dataset.tables)
        sample_order = arrange_dataset(candidates, dataset.name, mixture, label_names)
        if not len(candidates):
            raise PublishError("it has no kept pairs; the funnel of its sources says why (`rzen-corpus status`)")
        if not len(sample_order.chosen):
            raise PublishError(
                f"none of its {len(candidates)} kept pairs is published: no whole group of them is within `pairs`"
            )
        videos = dataset.modality == Modality.CLIP and settings.negatives > 0
        contents = read_pair_contents(workspace, dataset.tables, candidates, sample_order, settings.negatives, videos)
        pairs = ChosenPairs(
            workspace, dataset.tables, candidates, sample_order.chosen, by_positive=dataset.search_by == "positive"
        )
        sample_order, contents = _spread(pairs, sample_order, contents, dataset.name, mixture)
        related = related_labels(candidates, label_names) if sample_order.rule is BatchRule.LABEL_SPREAD else None
        seed = derive_seed(mixture.seed, dataset.name, "negatives")
        negative_fill = fill_negatives(contents, candidates, sample_order, seed, related)
        counts = contents.counts
        if len(negative_fill.pair) and contents.negative_counts.any() and counts["negatives"] != counts["positive"]:
            raise PublishError(
                f"its negatives have {counts['negatives']} items and its positives {counts['positive']}, so positives "
                "can't fill up missing negatives: ask for fewer negatives"
            )
    except PublishError as error:
        raise PublishError(f"dataset {dataset.name}: {error}") from None
    tars_fingerprint = _fingerprint(
        dataset, mixture, label_names if sample_order.rule is BatchRule.LABEL_SPREAD else None, sample_order
    )
    return DatasetPlan(dataset, settings, tars_fingerprint, candidates, sample_order, contents, negative_fill)


def _spread(
    pairs: ChosenPairs, sample_order: SampleOrder, contents: PairContents, name: str, mixture: MixtureSettings
) -> tuple[SampleOrder, PairContents]:
    """Orders pairs without groups and labels, and counts those that share a batch with what is no negative of theirs.

    Equal sides and false negatives are spread; with `batches` pairs that are near to each other meet, and these don't.
    """
    query, positive = repeated_sides(contents.query_id), repeated_sides(contents.positive_id)
    batch_size, batches = mixture.batch_size_of(name), mixture.datasets[name].batches
    order = None
    if sample_order.rule is BatchRule.SINGLE_DATASET:
        drawn = random_numbers(pairs.candidates.ids[:, pairs.chosen], order_seed(mixture, name))
        if batches is None:
            order = side_spread_order(drawn, query, positive, batch_size)
            if len(links := contents.false_negatives):
                order = np.arange(len(drawn)) if order is None else order
                separate(order, batch_size, Exclusions.of(query, positive, links.pair, links.other), drawn)
            sample_order = replace(sample_order, sides_spread=order is not None)
        else:
            settings = batches.model_copy(update={"batch_size": batch_size})
            order, report = community_order(pairs, (query, positive), drawn, settings)
            sample_order = replace(sample_order, rule=BatchRule.COMMUNITIES, batches=report)
    elif batches is not None:
        raise PublishError(f"`batches` is of pairs without groups and labels, and these are {sample_order.rule}")
    if order is not None:
        contents, query, positive = contents.ordered(order), query[order], positive[order]
        sample_order = replace(sample_order, chosen=sample_order.chosen[order])
    equal, met = equal_in_batch(query, positive, batch_size), contents.false_negatives.met(batch_size)
    return replace(sample_order, equal_sides=equal, false_negatives=met), contents


def _fingerprint(
    dataset: DatasetInput, mixture: MixtureSettings, names: LabelNames | None, sample_order: SampleOrder
) -> str:
    settings = mixture.datasets[dataset.name]
    spread = [mixture.batch_size, names.canonical()] if names else []
    spread += [mixture.batch_size] if sample_order.sides_spread else []
    spread += [mixture.batch_size_of(dataset.name), settings.batches.canonical()] if settings.batches else []
    spread += [mixture.batch_size, mixture.members_per_batch] if sample_order.rule is BatchRule.GROUPED else []
    return fingerprint(
        {
            "format": FORMAT,
            "dataset": [dataset.name, str(dataset.task), dataset.stage, str(dataset.modality)],
            "pairs": [[*map(identity_of_path, (each.path, *each.later))] for each in dataset.tables],
            "settings": [
                *(mixture.seed, mixture.pairs_per_shard, mixture.jpeg_quality),
                *(settings.pairs, settings.negatives, *spread),
            ],
            "url_signature_params": list(mixture.url_signature_params),
        }
    )


def item_ids(plans: Iterable[DatasetPlan]) -> np.ndarray:
    """Returns the ids of all items of the plans, ascending: uint64[2, n]."""
    return unique_ids(ids for plan in plans for table in plan.contents.tables for ids in table.values())


def refuse_shared_pairs(plans: Sequence[DatasetPlan]) -> None:
    """Raises PublishError if two datasets have a pair id in common: keys are unique in a corpus."""
    ids = np.concatenate([plan.candidates.ids[:, plan.sample_order.chosen] for plan in plans], axis=1)
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
    """Makes the export target of a dataset. Raises PublishError for items that have no location, or unequal extensions.

    `signatures` are removed from its URLs; `jpeg_quality` is for images that are re-encoded.
    """
    name, dataset = plan.dataset.name, plan.dataset
    exts = {role: _exts(plan, role, locations) for role in ROLES}
    if len(plan.negative_fill.pair):
        if plan.contents.negative_counts.any() and exts["negatives"] != exts["positive"]:
            raise PublishError(
                f"dataset {name}: its negatives are {' and '.join(exts['negatives'])} and its positives "
                f"{' and '.join(exts['positive'])}, so positives can't fill up missing negatives: ask for fewer"
            )
        exts["negatives"] = exts["positive"]
    sample_fields = make_sample_fields(exts, plan.settings.negatives, dataset.modality == Modality.CLIP)
    return ExportTarget(
        name, str(dataset.task), dataset.stage, sample_fields, plan.fingerprint, first_key, signatures, jpeg_quality
    )


def _exts(plan: DatasetPlan, role: str, locations: Locations) -> tuple[str, ...]:
    """Returns the field extensions of the items of a role, the same in all pairs."""
    where, count = f"dataset {plan.dataset.name}", plan.contents.counts[role]
    ids = np.concatenate([np.zeros((2, 0), np.uint64), *(t[role] for t in plan.contents.tables if role in t)], axis=1)
    rows = locations.find(ids)
    if (rows < 0).any():
        missing = ids[:, rows < 0]
        raise PublishError(
            f"{where}: no item table has item {join_id(missing[:, 0]).hex()} ({missing.shape[1]} such items, as {role})"
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
    """Returns the rows of each pairs table that must be read for the tars that are not in `finished`."""
    chosen, negative_fill, shard = plan.sample_order.chosen, plan.negative_fill, plan.sample_order.shard
    pairs = np.concatenate([chosen, chosen[negative_fill.donor]])
    sample = np.concatenate([np.arange(len(chosen)), negative_fill.pair])  # in published order
    slot = np.concatenate([np.full(len(chosen), SELF), negative_fill.slot])
    pending = ~np.isin(shard[sample], list(finished))
    pairs, sample, slot = pairs[pending], sample[pending], slot[pending]
    by_table = places_by_table(plan.candidates.table[pairs], len(plan.dataset.pairs))
    items = []
    for table, ids, rows in zip(plan.dataset.tables, plan.contents.tables, by_table, strict=True):
        if len(rows):
            places = locations.take(locations.find(unique_ids(ids.values())))
            key = np.uint64(target.first_key) + shard[sample[rows]].astype(np.uint64)
            position = plan.sample_order.position[sample[rows]]
            row = plan.candidates.row[pairs[rows]].astype(np.int64)
            items.append(PairRows(target, table, row, key, position, slot[rows], places))
    return items
