"""What `rzen-corpus labels` shows: which labels of which sets became one, and which contain which."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.compute as pc

from corpus.settings import SettingsError
from corpus.stage import ROWS
from corpus.workspace import TableKey, Workspace
from pipelines.config import Config
from pipelines.labels.hierarchy import Relations
from pipelines.labels.merge import merge_labels
from pipelines.run import read_sources


def label_report(config: Config) -> Iterator[str]:
    """Lines for people, from the rows that were read. Raises SettingsError for sources that were not read yet."""
    workspace = Workspace(config.workspace)
    labelled = {name: source for name, source in config.sources.items() if source.has_labels}
    if not labelled:
        yield "no source has labels"
        return
    read = read_sources(workspace, config.model_copy(update={"sources": labelled}), write=False)
    indexes, unread = read.indexes, read.unread
    if unread:
        raise SettingsError(f"{', '.join(unread)}: not read yet, or changed: run first (`--stage labels` is enough)")
    sets: dict[str, set[str]] = {}
    for source, index in indexes.items():
        for shard, name in index.shards:
            rows = workspace.read_table(TableKey("tables", source, ROWS).path(shard, name), ["label", "subset"])
            distinct = rows.filter(pc.not_equal(rows.column("label"), "")).group_by(["label", "subset"]).aggregate([])
            for row in distinct.to_pylist():
                sets.setdefault(row["subset"] or source, set()).add(row["label"])
    settings = config.stages.labels
    merged = merge_labels(sets, settings)
    yield from merged.report()
    names = settings.lists
    for row in Relations(merged.table.column("merged").to_pylist(), names).table().to_pylist():
        yield f"{row['label']} and {row['other']} are related ({row['why']})"
