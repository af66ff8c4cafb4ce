"""Adds the stages and kinds of sources of other installed distributions to this package's, by their entry points.

    [project.entry-points."rzen_corpus.stages"]
    few_colours = "few_colours:FewColours"

A distribution that is installed changes nothing by itself: a source is read where a settings file has its kind, and a
stage runs where it has the stage's key. One that cannot be used is an error of every configuration, because a filter
that is left out in silence would publish what it should have removed.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points

import pyarrow as pa

from corpus.settings import Settings, SettingsError
from corpus.stage import PAIR_VERDICT, PAIRS, ROWS, VERDICT, MapStage, ShuffleStage, Stage
from pipelines.sources.base import SourceSettings

STAGE_GROUP, SOURCE_GROUP = "rzen_corpus.stages", "rzen_corpus.sources"

_WITHOUT_STAGE = (ROWS, PAIRS)  # tables that sources and kinds of datasets make


def with_installed_stages(stages: Sequence[type[Stage]]) -> tuple[type[Stage], ...]:
    """Inserts the installed stages among these, each behind the last of those whose tables it reads.

    Raises SettingsError for an entry point that is no usable stage.
    """
    found = list(stages)
    waiting: list[tuple[str, type[Stage]]] = []
    for where, stage in _installed(STAGE_GROUP):
        if faults := list(_stage_faults(stage, [*stages, *(each for _, each in waiting)])):
            raise SettingsError(f"{where}: {faults[0]}")
        waiting.append((where, stage))
    while waiting:
        ready = next(((where, stage, at) for where, stage in waiting if (at := _place(stage, found)) is not None), None)
        if ready is None:
            where, stage = waiting[0]
            raise SettingsError(f"{where}: it reads {', '.join(_tables_read(stage))}, and no stage writes one of these")
        found.insert(ready[2], ready[1])
        waiting.remove(ready[:2])
    return tuple(found)


def with_installed_sources(sources: Sequence[type[SourceSettings]]) -> tuple[type[SourceSettings], ...]:
    """Appends the installed kinds of sources to these. Raises SettingsError for an entry point that is none."""
    found = list(sources)
    for where, source in _installed(SOURCE_GROUP):
        if faults := list(_source_faults(source, found)):
            raise SettingsError(f"{where}: {faults[0]}")
        found.append(source)
    return tuple(found)


def installed_versions() -> dict[str, str]:
    """Returns the versions of the distributions that have such entry points, by their names."""
    points = (*entry_points(group=STAGE_GROUP), *entry_points(group=SOURCE_GROUP))
    return {point.dist.name: point.dist.version for point in points if point.dist is not None}


def _installed(group: str) -> Iterator[tuple[str, type]]:
    """Loads the entry points of a group, in the order of their names: where each is declared, and its class."""
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        where = f"{_distribution(point)}, entry point {point.name} = {point.value} of {group}"
        try:
            loaded = point.load()
        except Exception as error:  # code of others, which may raise anything
            raise SettingsError(
                f"{where}: {type(error).__name__}: {error}: mend that distribution, or uninstall it"
            ) from error
        if not isinstance(loaded, type):
            raise SettingsError(f"{where}: expected a class, found a {type(loaded).__name__}")
        yield where, loaded


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown distribution"


def _stage_faults(stage: type, others: Sequence[type[Stage]]) -> Iterator[str]:
    """Lists what is wrong with the declaration of an installed stage."""
    if not issubclass(stage, MapStage | ShuffleStage):
        yield f"{stage.__name__} is no subclass of corpus.stage.MapStage or ShuffleStage"
        return
    if inspect.isabstract(stage):
        yield f"{stage.__name__} lacks {', '.join(sorted(stage.__abstractmethods__))}"
    for name, kind in (("name", str), ("schema", pa.Schema), ("reads", tuple), ("over", frozenset)):
        if not isinstance(getattr(stage, name, None), kind) or not (getattr(stage, name) or name == "schema"):
            yield f"{stage.__name__}.{name}: expected a {kind.__name__}" + ", not empty" * (name != "schema")
            return
    names = {name for other in others for name in (other.name, *other.roles)}
    if stage.name in {*names, *_WITHOUT_STAGE, PAIR_VERDICT}:
        yield f"{stage.__name__}.name: another table has the name {stage.name!r}"
    if not stage.settings_key.isidentifier() or stage.settings_type is Settings:
        yield (
            f"{stage.__name__} needs a settings_key, a word, and a settings_type, a class of its own: it runs where a "
            "settings file has that key"
        )
    elif any(stage.settings_key == other.settings_key for other in others):
        yield f"{stage.__name__}.settings_key: stages.{stage.settings_key} has the settings of another stage"
    verdict = PAIR_VERDICT if stage.over_pairs else VERDICT
    reads = stage.optional_reads if stage.over_pairs else stage.reads
    if stage.filters_rows and not (verdict in stage.roles and verdict in reads):
        where = "optional_reads" if stage.over_pairs else "reads"
        yield (
            f"{stage.__name__} filters rows, so {verdict.upper()} belongs into its `{where}` and its `roles`: else it "
            "would judge rows that are removed, or later stages would not know of its own. One that only measures has "
            "`filters_rows = False`"
        )


def _source_faults(source: type, others: Sequence[type[SourceSettings]]) -> Iterator[str]:
    """Lists what is wrong with the declaration of an installed kind of source."""
    if not issubclass(source, SourceSettings):
        yield f"{source.__name__} is no subclass of pipelines.sources.base.SourceSettings"
        return
    for name in ("gives", "summary"):
        if not hasattr(source, name):
            yield f"{source.__name__} lacks {name!r}"
    if not source.kinds():
        yield f"{source.__name__}.kind: expected a Literal with the name of the kind"
    if source.reader is SourceSettings.reader:
        yield f"{source.__name__} lacks the method `reader`"
    for kind in {*source.kinds()} & {kind for other in others for kind in other.kinds()}:
        yield f"{source.__name__}.kind: {kind!r} is the kind of another source"


def _tables_read(stage: type[Stage]) -> list[str]:
    names = (*stage.reads, *stage.optional_reads, *(pool.name for pool in stage.pools))
    return [name for name in names if name not in _WITHOUT_STAGE]


def _place(stage: type[Stage], stages: Sequence[type[Stage]]) -> int | None:
    """Returns the place behind all stages whose tables a stage reads; None where one of the tables is of none."""
    place = 0
    for name in _tables_read(stage):
        writers = [
            at
            for at, other in enumerate(stages)
            if name in (other.name, *other.roles) and other.over & stage.over and other.branch in ("", stage.branch)
        ]
        if not writers:
            return None
        place = max(place, writers[-1] + 1)
    return place
