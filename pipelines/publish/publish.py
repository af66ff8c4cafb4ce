"""Publishes a corpus: plans from narrow columns, writes the tars through the engine, and the manifest last."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from corpus.item_index import Locations, read_locations
from corpus.stage import fingerprint
from corpus.storage import Store
from corpus.workspace import Workspace, identity_of_path
from pipelines.engines import Engine
from pipelines.publish.checkpoint import Checkpoint, Tar, file_sizes, is_tar_of, list_files
from pipelines.publish.claim import Claim, only_publisher
from pipelines.publish.data_card import data_card
from pipelines.publish.dataset_plan import (
    FORMAT,
    DatasetPlan,
    item_ids,
    make_export_target,
    pair_rows,
    plan_dataset,
    refuse_shared_pairs,
)
from pipelines.publish.export import ExportTarget, export
from pipelines.publish.manifest import (
    BLEND,
    CARD,
    INDEX,
    MANIFEST,
    dataset_entry,
    energon_blend,
    listed_files,
    make_manifest,
    read_manifest,
    to_json,
    wids_index,
)
from pipelines.publish.mixture import DatasetInput, MixtureSettings, PublishError, PublishInput


@dataclass(frozen=True)
class Published:
    """A published corpus."""

    manifest: dict[str, Any]
    path: str
    reused: bool  # it existed already, with the same fingerprint


def publish(
    workspace: Workspace,
    inputs: PublishInput,
    settings: MixtureSettings,
    engine: Engine,
    progress: Callable[[int, int], None] | None = None,
) -> Published:
    """Publishes the datasets of the mixture; `progress` is called with the number of tars written, and of all tars.

    A corpus with the same fingerprint is left as it is; its missing files are written again. Of another corpus, and of
    an interrupted export, the tars that would be the same are kept. A corpus exists when its manifest does, which is
    removed first and written last. Files of the same names that belong to no corpus are never overwritten. Raises
    PublishError before any change if the corpus can't be published, or another run is publishing it.
    """
    store = Store(settings.corpus)
    corpus_fingerprint = _fingerprint(inputs, settings)
    with only_publisher(store) as claim:
        previous = read_manifest(store)
        present = list_files(store)
        if previous is not None and previous["fingerprint"] == corpus_fingerprint and listed_files(previous) <= present:
            Checkpoint(store).clear()  # remains if the run was killed just after it wrote the manifest
            return Published(previous, store.url, reused=True)
        plans = plan_datasets(workspace, inputs, settings)
        locations = read_locations(workspace, inputs.items, item_ids(plans), inputs.inspected)
        targets: list[ExportTarget] = []
        first_key = 0
        for plan in plans:
            targets.append(
                make_export_target(plan, locations, first_key, settings.url_signature_params, settings.jpeg_quality)
            )
            first_key += len(plan.sample_order.shard_samples)

        if previous is None and not Checkpoint(store).exists():
            _check_overwrite(store, present, targets)
        claim.acquire()
        tars = _remove_previous(store, previous, targets)
        job = _Export(workspace, store, claim, plans, targets, locations)
        job.write_tars(engine, tars, progress or (lambda done, total: None))
        claim.check()
        _check_unchanged(store, targets, tars)
        manifest = job.write_manifest(inputs, settings, corpus_fingerprint, tars)
        Checkpoint(store).clear()
    return Published(manifest, store.url, reused=False)


@dataclass(frozen=True)
class _Export:
    """The export of a corpus: its plans and targets, and the claim that permits it."""

    workspace: Workspace
    store: Store
    claim: Claim
    plans: Sequence[DatasetPlan]
    targets: Sequence[ExportTarget]  # one for each plan
    locations: Locations

    def write_tars(self, engine: Engine, tars: dict[str, dict[str, Tar]], progress: Callable[[int, int], None]) -> None:
        """Writes the tars that are not in `tars` (by dataset and name), and adds them to it."""
        total = sum(len(plan.sample_order.shard_samples) for plan in self.plans)
        progress(sum(map(len, tars.values())), total)
        items = [
            item
            for plan, target in zip(self.plans, self.targets, strict=True)
            for item in pair_rows(plan, target, self.locations, _numbers(tars[target.name]))
        ]
        for target, tar in export(self.workspace, self.store, self.targets, items, engine, self.claim):
            self.claim.check(now=False)
            tars[target.name][tar.name] = tar
            progress(sum(map(len, tars.values())), total)

    def write_manifest(
        self,
        inputs: PublishInput,
        settings: MixtureSettings,
        corpus_fingerprint: str,
        tars: Mapping[str, Mapping[str, Tar]],
    ) -> dict[str, Any]:
        """Writes all files except for the tars, the manifest last."""
        entries = {}
        for plan, target in zip(self.plans, self.targets, strict=True):
            ordered = [tars[target.name][name] for name in _names(plan)]
            entries[target.name] = dataset_entry(plan, target.sample_fields, ordered, settings)
        manifest = make_manifest(inputs, settings, corpus_fingerprint, entries)
        files = {f"{name}/{INDEX}": wids_index(name, entry["shards"]) for name, entry in entries.items()}
        files |= {BLEND: energon_blend(manifest["datasets"]), CARD: data_card(manifest)}
        self.claim.check()
        for path, data in files.items():
            self.store.publish(path, data)
        manifest["files"] = [
            {"name": path, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for path, data in files.items()
        ]
        self.store.publish(MANIFEST, to_json(manifest))
        self.claim.check()  # else another run has removed files of this one, or will
        return manifest


def _check_unchanged(store: Store, targets: Sequence[ExportTarget], tars: Mapping[str, Mapping[str, Tar]]) -> None:
    """Raises PublishError for tars that another run has overwritten in spite of the locks.

    They are removed, so that the next run writes them. Receipts and sizes reveal another run.
    """
    expected = {target.fingerprint for target in targets}
    checkpoint = Checkpoint(store)
    others = {
        tar.path for name in set(checkpoint.fingerprints()) - expected for tar in checkpoint.finished(name).values()
    }
    sizes = file_sizes(store)
    written = [tar for by_name in tars.values() for tar in by_name.values()]
    wrong = sorted(tar.path for tar in written if tar.path in others or sizes.get(tar.path) != tar.bytes)
    if wrong:
        store.remove_all(wrong)
        raise PublishError(
            f"{store.full(wrong[0])}: overwritten ({len(wrong):,} such tars): another run writes into the "
            "same folder; run this one again when that has ended"
        )


def _fingerprint(inputs: PublishInput, settings: MixtureSettings) -> str:
    """Returns the fingerprint of everything that the corpus depends on, except for the versions of programs."""
    datasets = [_identities(dataset) for dataset in sorted(inputs.datasets, key=lambda dataset: dataset.name)]
    used = [dataset for dataset in datasets if dataset["name"] in settings.datasets]
    return fingerprint(
        {
            "format": FORMAT,
            "name": inputs.name,
            "settings": settings.canonical(),
            "datasets": used,
            "funnel": dict(inputs.funnel),
            "names": inputs.names.canonical(),
            **({"evaluation": dict(inputs.evaluation)} if inputs.evaluation else {}),
            **({"unchecked": list(inputs.unchecked)} if inputs.unchecked else {}),
        }
    )


def _identities(dataset: DatasetInput) -> dict[str, Any]:
    """Returns a dataset's settings and tables, by the content of those whose names tell it."""
    later = {identity_of_path(path): [*map(identity_of_path, paths)] for path, paths in dataset.later.items()}
    return {**asdict(dataset), "pairs": [*map(identity_of_path, dataset.pairs)], "later": later}


def plan_datasets(workspace: Workspace, inputs: PublishInput, settings: MixtureSettings) -> list[DatasetPlan]:
    """Plans the datasets of a mixture in the order of their names. Raises PublishError where one can't be published."""
    datasets = {dataset.name: dataset for dataset in inputs.datasets}
    unknown = sorted(set(settings.datasets) - set(datasets))
    if unknown:
        raise PublishError(f"no dataset {', '.join(unknown)}; the datasets are {', '.join(sorted(datasets)) or 'none'}")
    with workspace.caching_footers() as kept:
        plans = [plan_dataset(kept, datasets[name], settings, inputs.names) for name in sorted(settings.datasets)]
    refuse_shared_pairs(plans)
    return plans


def _names(plan: DatasetPlan) -> list[str]:
    return [Tar.named(plan.dataset.name, shard) for shard in range(len(plan.sample_order.shard_samples))]


def _numbers(tars: dict[str, Tar]) -> set[int]:
    return {int(name.removesuffix(".tar").rpartition("-")[2]) for name in tars}


def _check_overwrite(store: Store, present: set[str], targets: Sequence[ExportTarget]) -> None:
    """Raises PublishError for foreign files that a corpus would overwrite, in a folder without a corpus.

    A run that was killed at its first tar, or a removed manifest, leaves tars that begin as those of a corpus do.
    """
    tars = [path for path in present if any(is_tar_of(target.name, path) for target in targets)]
    foreign = [path for path in tars if path.endswith(".tar") and not _is_corpus_tar(store, path)]
    if not tars:
        foreign = list(present & {BLEND, CARD, *(f"{target.name}/{INDEX}" for target in targets)})
    if foreign:
        raise PublishError(f"{store.full(min(foreign))}: exists, and is of no corpus: choose another folder")


def _is_corpus_tar(store: Store, path: str) -> bool:
    with store.open(path) as tar:
        return re.match(rb"[0-9a-f]{32}\.json\0", tar.read(38)) is not None


def _remove_previous(
    store: Store, previous: dict[str, Any] | None, targets: Sequence[ExportTarget]
) -> dict[str, dict[str, Tar]]:
    """Removes the previous corpus: its manifest, and all tars except for those that the targets would write again.

    Returns these, by dataset and name. It may be interrupted anywhere, and called again: receipts of all tars are
    written before the manifest is removed, and are removed after their tars.
    """
    checkpoint = Checkpoint(store)
    if previous is not None:
        for entry in previous["datasets"].values():
            checkpoint.carry_over(entry["fingerprint"], entry["shards"])
        store.remove(MANIFEST)
    current = {target.fingerprint for target in targets}
    for stale in set(checkpoint.fingerprints()) - current:
        paths = {tar.path for tar in checkpoint.finished(stale).values()}
        store.remove_all(sorted(paths | {f"{path.rpartition('/')[0]}/{INDEX}" for path in paths}))
        checkpoint.clear(stale)
    sizes = file_sizes(store)
    kept: dict[str, dict[str, Tar]] = {}
    for target in targets:
        finished = checkpoint.finished(target.fingerprint)
        kept[target.name] = {name: tar for name, tar in finished.items() if sizes.get(tar.path) == tar.bytes}
        complete = {tar.path for tar in kept[target.name].values()}
        store.remove_all(sorted(path for path in set(sizes) - complete if is_tar_of(target.name, path)))
    return kept
