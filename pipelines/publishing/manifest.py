"""What a corpus says of itself: manifest.json, wids indexes and the Energon blend. No timestamps: same bytes again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from corpus.records import Modality, Task
from corpus.storage import Store
from corpus.strict_json import read_json
from pipelines.publishing.corpus_plan import DatasetPlan
from pipelines.publishing.manifest_shape import wrong_shape
from pipelines.publishing.mixture import MixtureSettings, PublishError, PublishInput
from pipelines.publishing.progress import MOST_JSON_BYTES, Tar
from pipelines.publishing.sample import Layout
from pipelines.publishing.weights import Drawn, dataset_weights

MANIFEST = "manifest.json"
CARD = "README.md"
BLEND = "blend.yaml"
INDEX = "index.json"  # in each dataset's folder

SCHEMA_VERSION = 1
TEXT = (
    "instruction + text, joined as they are: an instruction brings its own separator"  # what a model is fed of a side
)
_FAULTS_SHOWN = 3


class ManifestError(PublishError):
    """A manifest that is none. `faults` says all that is wrong; the message says it in short, and what to do."""

    def __init__(self, where: str, faults: Sequence[str]) -> None:
        shown = "; ".join(faults[:_FAULTS_SHOWN])
        more = f"; and {len(faults) - _FAULTS_SHOWN:,} faults more" if len(faults) > _FAULTS_SHOWN else ""
        super().__init__(f"{where}: {shown}{more}: choose another folder, or remove what lies there")
        self.faults = list(faults)


def dataset_entry(plan: DatasetPlan, layout: Layout, tars: Iterable[Tar], batch_size: int) -> dict[str, Any]:
    """What the manifest says of a dataset."""
    frames = {"frames": layout.frames} if plan.given.modality == Modality.CLIP else {}
    return {
        "task": str(plan.given.task),
        "stage": plan.given.stage,
        "modality": str(plan.given.modality),
        **frames,  # of a clip
        "licence": plan.given.licence,
        "sources": list(plan.given.sources),
        "fingerprint": plan.fingerprint,
        "kept_pairs": len(plan.candidates),
        "repeated_pairs": plan.candidates.repeated,
        "samples": len(plan.arranged.chosen),
        "fields": ["json", *layout.fields],
        "negatives": plan.settings.negatives,
        "random_negatives": len(plan.fill.pair),
        "weight": plan.settings.weight,
        "repeats": plan.settings.repeats,
        "batch_rule": str(plan.arranged.rule),
        "equal_sides_in_batch": plan.arranged.equal_sides,
        "clustered": plan.sides.clustered,
        "warnings": list(_warnings(plan, batch_size)),
        "shards": [tar.to_json() for tar in tars],
    }


def _warnings(plan: DatasetPlan, batch_size: int) -> Iterator[str]:
    samples = len(plan.arranged.chosen)
    if samples < batch_size:
        yield f"{samples} samples are less than a batch of {batch_size}"
    if plan.arranged.unplaced:
        yield f"{plan.arranged.unplaced} pairs are left out: their groups would make shards unequal"
    group = plan.candidates.group[plan.arranged.chosen]
    ends = np.arange(batch_size, samples, batch_size)  # of batches that are filled in this order
    if cut := int(((group[ends] >= 0) & (group[ends] == group[ends - 1])).sum()):
        yield f"{cut} groups lie over the end of a batch; none would if every shard held {batch_size} samples"


def make_manifest(
    given: PublishInput, settings: MixtureSettings, fingerprint: str, datasets: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The manifest, but for the list of the other files. Here each dataset's entry gets the weight of the rule."""
    drawn = {
        name: Drawn(Task(entry["task"]), entry["samples"], settings.datasets[name].weight, entry["repeats"])
        for name, entry in datasets.items()
    }
    weights = dataset_weights(settings.weights, drawn)
    rule = {} if settings.weights.rule == "by_hand" else {"weights": settings.weights.canonical()}
    return {
        "schema_version": SCHEMA_VERSION,
        "name": given.name,
        "fingerprint": fingerprint,
        "seed": settings.seed,
        "batch_size": settings.batch_size,
        "pairs_per_shard": settings.pairs_per_shard,
        "text": TEXT,
        **rule,
        "datasets": {name: {**entry, "weight": weights[name]} for name, entry in datasets.items()},
        "funnel": {source: given.funnel[source] for source in sorted(given.funnel)},
        "made_by": dict(sorted(given.made_by.items())),
    }


def wids_index(dataset: str, shards: Sequence[Mapping[str, Any]]) -> bytes:
    """The shard index that wids reads random samples by; URLs are relative to the index."""
    listed = [
        {"url": tar["name"], "nsamples": tar["samples"], "filesize": tar["bytes"], "md5sum": tar["md5"]}
        for tar in shards
    ]
    return to_json({"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": dataset, "shardlist": listed})


def energon_blend(datasets: Mapping[str, Mapping[str, Any]]) -> bytes:
    """A MetadatasetV2 of Megatron Energon that blends the dataset folders by weight."""
    blend = [{"weight": entry["weight"], "path": f"./{name}"} for name, entry in datasets.items()]
    text = {
        "__module__": "megatron.energon",
        "__class__": "MetadatasetV2",
        "splits": {"train": {"blend": blend}},
    }
    return yaml.safe_dump(text, sort_keys=False).encode()


def to_json(data: Any) -> bytes:
    """JSON for people and programs; the same data gives the same bytes."""
    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def listed_files(manifest: Mapping[str, Any]) -> set[str]:
    """The paths of all files of a corpus, but for the manifest itself."""
    tars = {f"{name}/{tar['name']}" for name, entry in manifest["datasets"].items() for tar in entry["shards"]}
    return tars | {file["name"] for file in manifest["files"]}


def read_manifest(store: Store) -> dict[str, Any] | None:
    """The manifest of a corpus; None where there is none. Raises ManifestError for a file that is no such manifest.

    Others may have written it. What is returned has all the keys and types of a manifest, and names no file but those
    that a corpus has, so that its names can be read, and removed.
    """
    where = store.full(MANIFEST)
    try:
        manifest = read_json(store, MANIFEST, MOST_JSON_BYTES)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ManifestError(where, [f"not JSON: {error}"]) from error
    if not isinstance(manifest, dict) or manifest.get("schema_version") != SCHEMA_VERSION:
        raise ManifestError(where, [f"not a manifest of schema version {SCHEMA_VERSION}"])
    if faults := wrong_shape(manifest):
        raise ManifestError(where, faults)
    return manifest
