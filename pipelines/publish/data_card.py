"""Writes the data card of a corpus, README.md, from its manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from corpus.schema import Modality
from pipelines.publish.sample_order import BatchRule

_MAX_LISTED_HITS = 100  # of an evaluation set

_READING = """\
```python
import itertools, json, random
import webdataset as wds

manifest = json.load(open("manifest.json"))

def batches(name):  # each holds one dataset only, in the published order
    tars = [f"{name}/{shard['name']}" for shard in manifest["datasets"][name]["shards"]]
    epoch = wds.WebDataset(tars, shardshuffle=False).decode("pil")
    samples = itertools.chain.from_iterable(itertools.repeat(epoch))
    while True:
        yield list(itertools.islice(samples, manifest["batch_size"]))

loaders = {name: batches(name) for name in manifest["datasets"]}
weights = [dataset["weight"] for dataset in manifest["datasets"].values()]
while True:
    batch = next(loaders[random.choices(list(loaders), weights)[0]])
```

Also with `wids` (`index.json` of each dataset), with Hugging Face `load_dataset(".", "<dataset>")`, and with Megatron
Energon (`energon prepare` in each dataset's folder). Energon blends sample by sample: with `blend.yaml` a batch holds
several datasets. For batches of one dataset make a loader of each, and draw from them as above:

```python
from megatron.energon import WorkerConfig, get_loader, get_train_dataset

def batches(name):
    samples = get_train_dataset(
        name,
        worker_config=WorkerConfig.default_worker_config(0),
        task_encoder=your_task_encoder,
        batch_size=manifest["batch_size"],
        shuffle_buffer_size=None,
        max_samples_per_sequence=None,
    )
    return iter(get_loader(samples))
```

Within one blend a task encoder whose `batch_group_criterion` returns the dataset does the same.
"""

_FORMAT = """\
A sample is one training pair. Its key is the pair's id; `json` holds everything that is not media, with the same keys
and types in every sample: an absent string is `""`, an absent list `[]`, and a score of something that was never
scored is `0.0`, or `-1.0` for `text_image_score` and `judge`. A side is fed to a model as `instruction + text`,
joined as they are: an instruction brings its own separator. A side's `id` is a hash of its media and of its text,
case and blanks aside: equal ids are the same side, by which a trainer masks what two samples of a batch share.
`in_batch_negatives` is false where the set says that its pairs are no negatives of each other. `media` lists name the
sample's other members. An image is called `.jpg` whatever its format is, so decode it by its content. It holds the
bytes as they were collected where a plain decode (Pillow's `convert("RGB")`, no EXIF applied) shows the picture
correctly, and is re-encoded where not: upright, on white, 8 bits, the first frame. `phash` has a hash of the
inspected picture, for each of `media` (`""` for frames and videos); `rewritten` tells which are re-encoded.
`source.sha256` is of the downloaded bytes.
"""

_CLIPS = """\
A clip is its frames in the order of time, spread evenly over it (`frame_00.jpg` is the first), its `.mp4`, or both.
"""

_GROUPS = """\
Pairs with the same `group` belong together (they are of clips of one video). They lie together in runs of at most
{members_per_batch}, in the order in which batches are filled, so that they are each other's negatives in the batch. The
runs of one group are in different batches.
"""


def data_card(manifest: Mapping[str, Any]) -> bytes:
    """Returns the data card in Markdown, with the header from which a dataset hub reads the datasets."""
    datasets = manifest["datasets"]
    clips = [entry for entry in datasets.values() if entry["modality"] == Modality.CLIP]
    header = {
        "license": "other",
        "configs": [{"config_name": name, "data_files": f"{name}/*.tar"} for name in datasets],
    }
    sections = [
        f"---\n{yaml.safe_dump(header, sort_keys=False)}---\n# {manifest['name']}\n",
        "## What is in it\n",
        *_contents(datasets),
        "## How it is read\n",
        _FORMAT,
        *([_CLIPS] if clips else []),
        *([_GROUPS.format(**manifest)] if any(entry["batch_rule"] == BatchRule.GROUPED for entry in clips) else []),
        _READING,
        "## Where it comes from, and what was removed\n",
        *_origins(datasets, manifest["funnel"]),
        "## What it was checked against\n",
        *_evaluation(manifest.get("evaluation", {}), manifest.get("unchecked_evaluation", [])),
        "## How the negatives were filled\n",
        *_negatives(datasets),
        "## What made it\n",
        _table(["", "version"], manifest["versions"].items()),
        f"Settings and inputs: `{manifest['fingerprint']}`. Seed: {manifest['seed']}.\n",
    ]
    return "\n".join(sections).encode()


def _contents(datasets: Mapping[str, Any]) -> Iterator[str]:
    columns = ["dataset", "task", "stage", "modality", "samples", "tars", "GB", "weight", "repeats", "batches"]
    yield _table(
        columns,
        [
            [
                name,
                entry["task"],
                entry["stage"],
                _modality(entry),
                f"{entry['samples']:,}",
                len(entry["shards"]),
                f"{sum(shard['bytes'] for shard in entry['shards']) / 1e9:.3f}",
                entry["weight"],
                entry["repeats"],
                entry["batch_rule"],
            ]
            for name, entry in datasets.items()
        ],
    )
    fields = [f"- `{name}`: {', '.join(f'`{field}`' for field in entry['fields'])}" for name, entry in datasets.items()]
    yield "Members of a sample:\n\n" + "\n".join(fields) + "\n"
    warnings = [f"- **{name}**: {warning}." for name, entry in datasets.items() for warning in entry["warnings"]]
    if warnings:
        yield "Warnings:\n\n" + "\n".join(warnings) + "\n"


def _modality(entry: Mapping[str, Any]) -> str:
    """Returns the modality of a dataset; of clips with what they consist of."""
    if entry["modality"] != Modality.CLIP:
        return entry["modality"]
    parts = [f"{entry['frames']} frames"] if entry["frames"] else []
    parts += ["mp4"] if any(name.endswith(".mp4") for name in entry["fields"]) else []
    return f"clip: {' and '.join(parts)}"


def _origins(datasets: Mapping[str, Any], funnel: Mapping[str, Any]) -> Iterator[str]:
    licences = [
        [name, ", ".join(entry["sources"]), entry["licence"] or "not stated"] for name, entry in datasets.items()
    ]
    yield _table(["dataset", "sources", "licence"], licences)
    if any(entry["modality"] != Modality.TEXT for entry in datasets.values()):
        yield (
            "The media are the property of whoever made them. `source` in a sample's `json` says where each was found, "
            "with the licence that was stated there.\n"
        )
    for source, counts in funnel.items():
        removed = counts["rows_in"] - counts["kept"]
        yield f"**{source}**: {counts['rows_in']:,} rows, {counts['kept']:,} kept, {removed:,} removed.\n"
        reasons = [
            [status, reason, f"{rows:,}"]
            for status, by_reason in counts["removed"].items()
            for reason, rows in sorted(by_reason.items(), key=lambda entry: (-entry[1], entry[0]))
        ]
        if reasons:
            yield _table(["status", "reason", "rows"], reasons)
        not_read = [
            [kind, name, f"{count:,}"]
            for kind, counts_by_name in counts.get("not_read", {}).items()
            for name, count in counts_by_name.items()
        ]
        if not_read:
            yield "Not read: files by reason, and values by column.\n"
            yield _table(["", "reason or column", "count"], not_read)
    taken = [
        [name, f"{entry['kept_pairs']:,}", f"{entry['duplicate_pairs']:,}", f"{entry['samples']:,}"]
        for name, entry in datasets.items()
    ]
    yield "Of the kept pairs the mixture takes a seeded sample; a pair that came twice is there once.\n"
    yield _table(["dataset", "kept pairs", "repeats left out", "samples"], taken)
    removed = [
        [name, *reason.split("/", 1), f"{rows:,}"]
        for name, entry in datasets.items()
        for reason, rows in sorted(entry.get("removed_pairs", {}).items(), key=lambda item: (-item[1], item[0]))
    ]
    if removed:
        yield "Items of which no pair was made, and pairs that were removed:\n"
        yield _table(["dataset", "status", "reason", "pairs"], removed)
    yield (
        "Pairs with an equal query or an equal positive are spread over the batches, as far as their counts, groups "
        "and labels allow. What could not be spread has an equal side in its batch:\n"
    )
    met = [
        [name, f"{entry['equal_sides_in_batch']:,}", f"{entry['false_negatives_in_batch']:,}"]
        for name, entry in datasets.items()
    ]
    columns = ["samples with an equal side in their batch", "with a false negative that mining found in it"]
    yield _table(["dataset", *columns], met)
    yield from _communities({name: entry["batches"] for name, entry in datasets.items() if "batches" in entry})


def _communities(reports: Mapping[str, Any]) -> Iterator[str]:
    """Yields how hard batches of communities are, beside a shuffle of the same pairs."""
    if not reports:
        return
    yield (
        "Batches of these datasets are made of communities: pairs that are near to each other, at the ranks named. The "
        "similarity is that of a sample with the nearest other one in its batch, on average; where none "
        "of its listed neighbours is there, that of the last one in its list. False negatives are others in the "
        "batch with an equal side, or named in `false_negatives`. In brackets: of a shuffle of the same pairs.\n"
    )
    rows = [
        [
            name,
            f"{report['batch_size']:,}",
            f"{report['communities']:,} of up to {report['community']}",
            f"{report['ranks'][0]} to {report['ranks'][1] - 1}",
            f"{report['hardest_similarity']:.3f} ({report['shuffled_hardest_similarity']:.3f})",
            f"{report['false_negatives']:,} ({report['shuffled_false_negatives']:,})",
        ]
        for name, report in reports.items()
    ]
    yield _table(["dataset", "batch", "communities", "ranks", "hardest similarity", "false negatives"], rows)


def _evaluation(sets: Mapping[str, Any], unchecked: Sequence[str]) -> Iterator[str]:
    """Yields what evaluation sets were checked, what was removed for their sake, and the evaluation items that were
    found.
    """
    if not sets:
        yield "**This corpus was not checked against any evaluation set**: what a model is measured by may be in it.\n"
    if unchecked:
        yield f"Not there, and so not checked: {', '.join(unchecked)}.\n"
    if not sets:
        return
    yield (
        "What these evaluation sets have was removed: images, clips and texts, also re-encoded, resized, cropped or "
        "embedded in longer texts, as far as hashes, vectors and n-grams find them. `same_media` are pairs whose media "
        "an evaluation set has with other texts. Media without a usable hash (flat pictures) are found by equal bytes "
        "only. What is ignored shares its data with the set by design, and is still there.\n"
    )
    columns = ["set", "media", "texts", "unreadable", "without hash", "removed", "missed by hashes alone", "ignored"]
    rows = [
        [
            name,
            *(f"{each[key]:,}" for key in ("media", "texts", "unreadable", "without_hash")),
            _counts(each["removed"]),
            f"{each['missed_by_hashes']:,}",
            f"{each['ignored']:,}",
        ]
        for name, each in sets.items()
    ]
    yield _table(columns, rows)
    for name, each in ((name, each) for name, each in sets.items() if each["hits"]):
        listed = each["hits"][:_MAX_LISTED_HITS]
        more = f" The first {len(listed)}; `manifest.json` has more." if len(listed) < len(each["hits"]) else ""
        yield f"**{name}**: {each['items']:,} of its items were found, by {_counts(each['ways'])}.{more}\n"
        yield _table(["evaluation item", "in", "rows"], ([hit["item"], hit["in"], hit["rows"]] for hit in listed))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "nothing"


def _negatives(datasets: Mapping[str, Any]) -> Iterator[str]:
    filled = []
    for name, entry in datasets.items():
        negatives = entry["samples"] * entry["negatives"]
        if negatives:
            share = f"{entry['random_negatives']:,} of {negatives:,} ({entry['random_negatives'] / negatives:.1%})"
            filled.append([name, entry["negatives"], share])
    if not filled:
        yield "No dataset has hard negatives.\n"
        return
    yield (
        "Every sample of a dataset has the same number of negatives. Where too few were found, positives of other "
        "pairs of the dataset were drawn at random (`origin` is `random`): never of the same content, nearly the "
        "same text, the same group or label, nor of a label that contains the pair's or is contained in it.\n"
    )
    if any(entry["modality"] == Modality.CLIP for entry in datasets.values()):
        yield "For a clip none was drawn from its own video.\n"
    yield _table(["dataset", "negatives of a sample", "drawn at random"], filled)


def _table(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    cells = (" | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in line) for line in lines)
    return "".join(f"| {line} |\n" for line in cells)
