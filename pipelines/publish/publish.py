"""Publishing a corpus: plan on narrow columns, write the tars through the engine, and the manifest last."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from corpus.item_index import Locations, read_locations
from corpus.stage import fingerprint
from corpus.storage import Store
from corpus.workspace import Workspace
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
from pipelines.publish.mixture import MixtureSettings, PublishError, PublishInput


@dataclass(frozen=True)
class Published:
    """A corpus that exists."""

    manifest: dict[str, Any]
    path: str
    reused: bool  # it lay there already, made from the same


def publish(
    workspace: Workspace,
    inputs: PublishInput,
    settings: MixtureSettings,
    engine: Engine,
    progress: Callable[[int, int], None] | None = None,
) -> Published:
    """Publish the datasets that the mixture names; `progress` is called with the tars written and the tars in all.

    A corpus made from the same is left as it is; what is gone of it is written again. Of another one, and of an export
    that was interrupted, the tars that would come out the same are kept. The corpus exists when its manifest does:
    removed first, written last. Files of the same names that lie there and are of no corpus are not touched: refused.
    Raises PublishError before anything is touched if the corpus can't be published, or another run is at it.
    """
    store = Store(settings.corpus)
    made_from = _fingerprint(inputs, settings)
    with only_publisher(store) as claim:
        earlier = read_manifest(store)
        present = list_files(store)
        if earlier is not None and earlier["fingerprint"] == made_from and listed_files(earlier) <= present:
            Checkpoint(store).clear()  # left there if the run was killed right after it wrote the manifest
            return Published(earlier, store.url, reused=True)
        plans = _plans(workspace, inputs, settings)
        locations = read_locations(workspace, inputs.items, item_ids(plans), inputs.inspected)
        targets: list[ExportTarget] = []
        first_key = 0
        for plan in plans:
            targets.append(make_export_target(plan, locations, first_key, settings.signatures, settings.jpeg_quality))
            first_key += len(plan.arranged.shard_samples)

        if earlier is None and not Checkpoint(store).exists():
            _check_overwrite(store, present, targets)
        claim.stake()
        tars = _remove_previous(store, earlier, targets)
        job = _Job(workspace, store, claim, plans, targets, locations)
        job.write_tars(engine, tars, progress or (lambda done, total: None))
        claim.check()
        _check_unchanged(store, targets, tars)
        manifest = job.write_manifest(inputs, settings, made_from, tars)
        Checkpoint(store).clear()
    return Published(manifest, store.url, reused=False)


@dataclass(frozen=True)
class _Job:
    """The export job: what is to be written, and by which claim."""

    workspace: Workspace
    store: Store
    claim: Claim
    plans: Sequence[DatasetPlan]
    targets: Sequence[ExportTarget]  # one for each plan
    locations: Locations

    def write_tars(self, engine: Engine, tars: dict[str, dict[str, Tar]], progress: Callable[[int, int], None]) -> None:
        """Write the tars that are not in `tars` (by dataset and name), and add them to it."""
        total = sum(len(plan.arranged.shard_samples) for plan in self.plans)
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
        self, inputs: PublishInput, settings: MixtureSettings, made_from: str, tars: Mapping[str, Mapping[str, Tar]]
    ) -> dict[str, Any]:
        """Write the files beside the tars, the manifest last."""
        entries = {}
        for plan, target in zip(self.plans, self.targets, strict=True):
            ordered = [tars[target.name][name] for name in _names(plan)]
            entries[target.name] = dataset_entry(plan, target.layout, ordered, settings.batch_size)
        manifest = make_manifest(inputs, settings, made_from, entries)
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
        self.claim.check()  # else another run has taken some of this away, or will
        return manifest


def _check_unchanged(store: Store, targets: Sequence[ExportTarget], tars: Mapping[str, Mapping[str, Tar]]) -> None:
    """Raise PublishError for tars that are not as they were written: another run wrote there, past every lock.

    They are removed, so that the next run writes them. Receipts and sizes show another run.
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
            f"{store.full(wrong[0])}: not as it was written ({len(wrong):,} such tars): another run writes into the "
            "same folder; run this one again when that has ended"
        )


def _fingerprint(inputs: PublishInput, settings: MixtureSettings) -> str:
    """Of all that the corpus depends on, but for the versions of what made it."""
    datasets = [asdict(dataset) for dataset in sorted(inputs.datasets, key=lambda dataset: dataset.name)]
    used = [dataset for dataset in datasets if dataset["name"] in settings.datasets]
    return fingerprint(
        {
            "format": FORMAT,
            "name": inputs.name,
            "settings": settings.canonical(),
            "datasets": used,
            "funnel": dict(inputs.funnel),
            "names": inputs.names.canonical(),
        }
    )


def _plans(workspace: Workspace, inputs: PublishInput, settings: MixtureSettings) -> list[DatasetPlan]:
    datasets = {dataset.name: dataset for dataset in inputs.datasets}
    unknown = sorted(set(settings.datasets) - set(datasets))
    if unknown:
        raise PublishError(f"no dataset {', '.join(unknown)}; there is {', '.join(sorted(datasets)) or 'none'}")
    plans = [plan_dataset(workspace, datasets[name], settings, inputs.names) for name in sorted(settings.datasets)]
    refuse_shared_pairs(plans)
    return plans


def _names(plan: DatasetPlan) -> list[str]:
    return [Tar.named(plan.dataset.name, shard) for shard in range(len(plan.arranged.shard_samples))]


def _numbers(tars: dict[str, Tar]) -> set[int]:
    return {int(name.removesuffix(".tar").rpartition("-")[2]) for name in tars}


def _check_overwrite(store: Store, present: set[str], targets: Sequence[ExportTarget]) -> None:
    """Raise PublishError for files of others that a corpus would overwrite, in a folder without a corpus.

    A run that was killed at its first tar, or a manifest that was removed, leaves tars that begin as a corpus's do.
    """
    tars = [path for path in present if any(is_tar_of(target.name, path) for target in targets)]
    foreign = [path for path in tars if path.endswith(".tar") and not _is_own_tar(store, path)]
    if not tars:
        foreign = list(present & {BLEND, CARD, *(f"{target.name}/{INDEX}" for target in targets)})
    if foreign:
        raise PublishError(f"{store.full(min(foreign))}: is in the way, and of no corpus: choose another folder")


def _is_own_tar(store: Store, path: str) -> bool:
    with store.open(path) as tar:
        return re.match(rb"[0-9a-f]{32}\.json\0", tar.read(38)) is not None


def _remove_previous(
    store: Store, earlier: dict[str, Any] | None, targets: Sequence[ExportTarget]
) -> dict[str, dict[str, Tar]]:
    """Remove the corpus that lies there: its manifest, and all tars but those that the targets would write again.

    Returns those, by dataset and name. Interrupted anywhere, it does the rest when it is called again: before the
    manifest goes, its tars have receipts, and these go when their tars are gone.
    """
    checkpoint = Checkpoint(store)
    if earlier is not None:
        for entry in earlier["datasets"].values():
            checkpoint.carry_over(entry["fingerprint"], entry["shards"])
        store.remove(MANIFEST)
    wanted = {target.fingerprint for target in targets}
    for made_from in set(checkpoint.fingerprints()) - wanted:
        paths = {tar.path for tar in checkpoint.finished(made_from).values()}
        store.remove_all(sorted(paths | {f"{path.rpartition('/')[0]}/{INDEX}" for path in paths}))
        checkpoint.clear(made_from)
    sizes = file_sizes(store)
    kept: dict[str, dict[str, Tar]] = {}
    for target in targets:
        finished = checkpoint.finished(target.fingerprint)
        kept[target.name] = {name: tar for name, tar in finished.items() if sizes.get(tar.path) == tar.bytes}
        complete = {tar.path for tar in kept[target.name].values()}
        store.remove_all(sorted(path for path in set(sizes) - complete if is_tar_of(target.name, path)))
    return kept
