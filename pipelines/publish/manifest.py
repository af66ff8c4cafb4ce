"""Makes, reads and checks the manifest of a corpus, its wids indexes and its Energon blend.

They have no timestamps: the same corpus gives the same bytes. A manifest is untrusted input: its keys and types are
checked, and its names (of datasets, tars and other files) must be ones that a corpus can have, so that no path in it
leads out of the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from corpus.printable import printable
from corpus.schema import Modality, Task
from corpus.storage import Store
from corpus.strict_parse import read_json
from corpus.workspace import NAME
from pipelines.publish.checkpoint import MAX_JSON_BYTES, Tar
from pipelines.publish.dataset_plan import DatasetPlan
from pipelines.publish.mixture import MixtureSettings, PublishError, PublishInput
from pipelines.publish.sample import SampleFields
from pipelines.publish.sample_order import BatchRule
from pipelines.publish.weights import DatasetSize, dataset_weights

MANIFEST = "manifest.json"
CARD = "README.md"
BLEND = "blend.yaml"
INDEX = "index.json"  # in each dataset's folder

SCHEMA_VERSION = 1
TEXT = "instruction + text, joined as they are: an instruction brings its own separator"  # the model's input for a side
MAX_EVALUATION_HITS = 10_000  # evaluation items of a set that are listed
_MAX_EXAMPLES = 3


class ManifestError(PublishError):
    """The error of an invalid manifest. `faults` lists all faults; the message has the first ones, and what to do."""

    def __init__(self, where: str, faults: Sequence[str]) -> None:
        examples = "; ".join(faults[:_MAX_EXAMPLES])
        more = f"; and {len(faults) - _MAX_EXAMPLES:,} more faults" if len(faults) > _MAX_EXAMPLES else ""
        super().__init__(f"{where}: {examples}{more}: choose another folder, or remove its files")
        self.faults = list(faults)


def dataset_entry(
    plan: DatasetPlan, sample_fields: SampleFields, tars: Iterable[Tar], settings: MixtureSettings
) -> dict[str, Any]:
    """Makes the entry of a dataset in the manifest."""
    runs, batches = plan.sample_order.runs, plan.sample_order.batches
    frames = {"frames": sample_fields.frames} if plan.dataset.modality == Modality.CLIP else {}
    return {
        "task": str(plan.dataset.task),
        "stage": plan.dataset.stage,
        "modality": str(plan.dataset.modality),
        **frames,  # of a clip
        "licence": plan.dataset.licence,
        "sources": list(plan.dataset.sources),
        "fingerprint": plan.fingerprint,
        "kept_pairs": len(plan.candidates),
        "duplicate_pairs": plan.candidates.repeated,
        **({"removed_pairs": plan.candidates.removed} if plan.candidates.removed else {}),
        "samples": len(plan.sample_order.chosen),
        "fields": ["json", *sample_fields.fields],
        "negatives": plan.settings.negatives,
        "random_negatives": len(plan.negative_fill.pair),
        "weight": plan.settings.weight,
        "repeats": plan.settings.repeats,
        "batch_rule": str(plan.sample_order.rule),
        **({"group_runs": runs.to_json()} if runs else {}),
        **({"batches": batches.to_json()} if batches else {}),
        "equal_sides_in_batch": plan.sample_order.equal_sides,
        "false_negatives_in_batch": plan.sample_order.false_negatives,
        "clustered": plan.contents.clustered,
        "warnings": list(_warnings(plan, settings)),
        "shards": [tar.to_json() for tar in tars],
    }


def _warnings(plan: DatasetPlan, settings: MixtureSettings) -> Iterator[str]:
    samples = len(plan.sample_order.chosen)
    batch_size = settings.batch_size_of(plan.dataset.name)
    if samples < batch_size:
        yield f"{samples} samples are less than a batch of {batch_size}"
    if plan.sample_order.runs is not None:
        yield from plan.sample_order.runs.warnings(settings.members_per_batch)


def size_line(datasets: Mapping[str, Any]) -> str:
    """Returns how much all datasets of a manifest hold together, in one line of text."""
    tars = [tar for entry in datasets.values() for tar in entry["shards"]]
    samples, size = (sum(tar[what] for tar in tars) for what in ("samples", "bytes"))
    return f"{samples:,} sample{'s' * (samples != 1)} in {len(tars):,} tar{'s' * (len(tars) != 1)}, {size:,} bytes"


def batch_lines(datasets: Mapping[str, Any]) -> Iterator[str]:
    """Yields a line for each dataset with batches of communities: how hard they are, beside a shuffle."""
    for name, report in ((name, entry.get("batches")) for name, entry in datasets.items()):
        if report is not None:
            yield (
                f"{name}: hardest similarity in a batch {report['hardest_similarity']:.3f} (shuffled "
                f"{report['shuffled_hardest_similarity']:.3f}), false negatives {report['false_negatives']:,} "
                f"(shuffled {report['shuffled_false_negatives']:,})"
            )


def make_manifest(
    inputs: PublishInput, settings: MixtureSettings, fingerprint: str, datasets: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Makes the manifest, except for the list of the other files. Sets the weight of each dataset by the rule."""
    sizes = {
        name: DatasetSize(Task(entry["task"]), entry["samples"], settings.datasets[name].weight, entry["repeats"])
        for name, entry in datasets.items()
    }
    weights = dataset_weights(settings.weights, sizes)
    rule = {} if settings.weights.rule == "manual" else {"weights": settings.weights.canonical()}
    return {
        "schema_version": SCHEMA_VERSION,
        "name": inputs.name,
        "fingerprint": fingerprint,
        "seed": settings.seed,
        "batch_size": settings.batch_size,
        "members_per_batch": settings.members_per_batch,
        "pairs_per_shard": settings.pairs_per_shard,
        "text": TEXT,
        **rule,
        "datasets": {name: {**entry, "weight": weights[name]} for name, entry in datasets.items()},
        "funnel": {source: inputs.funnel[source] for source in sorted(inputs.funnel)},
        **({"evaluation": dict(inputs.evaluation)} if inputs.evaluation else {}),
        **({"unchecked_evaluation": list(inputs.unchecked)} if inputs.unchecked else {}),
        "versions": dict(sorted(inputs.versions.items())),
    }


def wids_index(dataset: str, shards: Sequence[Mapping[str, Any]]) -> bytes:
    """Makes the shard index by which wids reads random samples; URLs are relative to the index."""
    listed = [
        {"url": tar["name"], "nsamples": tar["samples"], "filesize": tar["bytes"], "md5sum": tar["md5"]}
        for tar in shards
    ]
    return to_json({"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": dataset, "shardlist": listed})


def energon_blend(datasets: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Makes a MetadatasetV2 of Megatron Energon, which blends the dataset folders by weight."""
    blend = [{"weight": entry["weight"], "path": f"./{name}"} for name, entry in datasets.items()]
    text = {
        "__module__": "megatron.energon",
        "__class__": "MetadatasetV2",
        "splits": {"train": {"blend": blend}},
    }
    return yaml.safe_dump(text, sort_keys=False).encode()


def to_json(data: Any) -> bytes:
    """Formats data as indented JSON; the same data gives the same bytes."""
    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def listed_files(manifest: Mapping[str, Any]) -> set[str]:
    """Returns the paths of all files of a corpus, except for the manifest."""
    tars = {f"{name}/{tar['name']}" for name, entry in manifest["datasets"].items() for tar in entry["shards"]}
    return tars | {file["name"] for file in manifest["files"]}


def read_manifest(store: Store) -> dict[str, Any] | None:
    """Reads the manifest of a corpus; None where there is none. Raises ManifestError for an invalid one.

    The file is untrusted. The returned manifest has the keys and types of a manifest, and names only files that a
    corpus can have, so that the caller can read and remove them.
    """
    where = store.full(MANIFEST)
    try:
        manifest = read_json(store, MANIFEST, MAX_JSON_BYTES)
    except FileNotFoundError:
        store.check_bucket()
        return None
    except ValueError as error:
        raise ManifestError(where, [f"not JSON: {error}"]) from error
    if not isinstance(manifest, dict) or manifest.get("schema_version") != SCHEMA_VERSION:
        raise ManifestError(where, [f"not a manifest of schema version {SCHEMA_VERSION}"])
    if faults := wrong_shape(manifest):
        raise ManifestError(where, faults)
    return manifest


Count = Annotated[int, Field(ge=0, le=2**63 - 1, strict=True)]
PositiveCount = Annotated[int, Field(ge=1, le=2**63 - 1, strict=True)]
Name = Annotated[str, StringConstraints(pattern=rf"^{NAME}$")]
TarName = Annotated[str, StringConstraints(pattern=rf"^{NAME}-[0-9]{{6,12}}\.tar$")]
FileName = Annotated[str, StringConstraints(pattern=rf"^(README\.md|blend\.yaml|{NAME}/index\.json)$")]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Md5 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
Fingerprint = Annotated[str, StringConstraints(pattern="^[0-9a-f]{1,64}$")]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Tar(_Shape):
    name: TarName
    samples: Count
    bytes: Count
    sha256: Sha256
    md5: Md5


class _GroupRuns(_Shape):
    runs: Count
    cut: Count
    crowded: Count
    joined: Count


class _Batches(_Shape):
    batch_size: PositiveCount
    community: PositiveCount
    ranks: tuple[Count, Count]
    communities: Count
    hardest_similarity: float
    shuffled_hardest_similarity: float
    false_negatives: Count
    shuffled_false_negatives: Count


class _Dataset(_Shape):
    task: Task
    stage: int
    modality: Modality
    frames: Count = 0  # of clips only
    licence: str
    sources: list[str]
    fingerprint: Fingerprint
    kept_pairs: Count
    duplicate_pairs: Count
    removed_pairs: dict[str, Count] = {}  # by "status/reason", by the stage `pairs` and those after it
    samples: Count
    fields: list[str] = Field(min_length=1)
    negatives: Count
    random_negatives: Count
    weight: float = Field(gt=0, allow_inf_nan=False)
    repeats: int = Field(ge=1)
    batch_rule: BatchRule
    group_runs: _GroupRuns | None = None  # where `batch_rule` is grouped
    batches: _Batches | None = None  # where `batch_rule` is communities
    equal_sides_in_batch: Count
    false_negatives_in_batch: Count = 0  # samples in whose batch is another that mining found to be one
    clustered: Count  # samples of which a side is in a cluster
    warnings: list[str]
    shards: list[_Tar]


class _Source(_Shape):
    rows_in: Count
    kept: Count
    removed: dict[str, dict[str, Count]]
    pending: Count = 0
    source_rows: Count = 0
    not_read: dict[str, dict[str, Count]] = {}


class _Hit(_Shape):
    item: str
    where: str = Field(alias="in")
    rows: PositiveCount


class _Evaluation(_Shape):
    media: Count
    texts: Count
    without_hash: Count
    unreadable: Count
    removed: dict[str, Count]
    ways: dict[str, Count]
    missed_by_hashes: Count
    ignored: Count
    items: Count
    hits: list[_Hit]


class _File(_Shape):
    name: FileName
    bytes: Count
    sha256: Sha256


class _Manifest(_Shape):
    schema_version: int
    name: str
    fingerprint: Fingerprint
    seed: int
    batch_size: PositiveCount
    members_per_batch: PositiveCount
    pairs_per_shard: PositiveCount
    text: str = ""
    weights: dict[str, Any] = {}  # where they are not by hand
    datasets: dict[Name, _Dataset]
    funnel: dict[str, _Source]
    evaluation: dict[Name, _Evaluation] = {}  # the sets that the corpus was checked against
    unchecked_evaluation: list[str] = []
    versions: dict[str, str]
    files: list[_File]

    @model_validator(mode="after")
    def _names(self) -> _Manifest:
        for name, dataset in self.datasets.items():
            for tar in dataset.shards:
                if tar.name.rpartition("-")[0] != name:
                    raise ValueError(f"datasets.{name}: {tar.name} is no tar of this dataset")
        for file in self.files:
            folder = file.name.rpartition("/")[0]
            if folder and folder not in self.datasets:
                raise ValueError(f"files: {file.name} is of no dataset")
        return self


def wrong_shape(manifest: Mapping[str, Any]) -> list[str]:
    """Lists the faults in the keys and types of a manifest, each with its path."""
    try:
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        return [_fault(fault) for fault in error.errors(include_url=False, include_input=False)]
    return []


def _fault(fault: Any) -> str:
    where = ".".join(printable(str(part)) for part in fault["loc"])
    what = printable(fault["msg"].removeprefix("Value error, "), 500)
    return f"{where}: {what}" if where else what
