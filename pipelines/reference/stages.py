"""A page for each stage: what it does, reads and gives, why it removes rows, its columns and its settings."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from corpus.settings import load_settings
from corpus.stage import PAIRS, ROWS, Gives, ShuffleStage, Stage
from corpus.thresholds import Bound, Threshold
from mining.encoders import ENCODERS
from pipelines.config import Config
from pipelines.graph import STAGES, build_graph
from pipelines.reference.columns import column_table
from pipelines.reference.examples import stage_example
from pipelines.reference.markdown import code, escaped, prose, table
from pipelines.reference.settings_tables import SettingsTables, kind_of
from pipelines.templates import CONFIGS

FOLDER = "reference/stages"

_KEPT = {
    Bound.LOWER: "less than the value",
    Bound.ABOVE: "the value or less",
    Bound.UPPER: "more than the value",
    Bound.BELOW: "the value or more",
}
# Tables that no stage is named for, and the pages that say what they are; the pages of stages lie two folders deep.
_TABLES = {
    ROWS: "../sources/index.md",
    PAIRS: "../datasets/index.md",
    "items": "../../stages.md",
    "verdict": "../../stages.md",
    "pair_verdict": "../../stages.md",
}


def stage_pages(stages: Sequence[type[Stage]] = STAGES) -> dict[str, str]:
    """Returns the pages of all stages and one that lists them, by their paths in the site."""
    pages = {f"{FOLDER}/{page_name(stage, stages)}.md": _page(stage, stages) for stage in stages}
    return {f"{FOLDER}/index.md": _index(stages), **pages}


def page_name(stage: type[Stage], stages: Sequence[type[Stage]] = STAGES) -> str:
    """Returns the name of a stage's page: with what it is over where another stage has the same name."""
    is_only = sum(each.name == stage.name for each in stages) == 1
    return stage.name if is_only else "-".join((stage.name, *sorted(stage.over)))


def stage_facts(stage: type[Stage], stages: Sequence[type[Stage]] = STAGES) -> list[str]:
    """Returns the lines of a table of what a stage declares."""
    facts = _facts(stage, stages, examples().get(stage))
    return table(("", ""), [(f"**{name}**", what) for name, what in facts if what])


def stage_columns(stage: type[Stage]) -> list[str]:
    """Returns the lines about the columns of a stage's tables, as far as they are known without settings."""
    schema = getattr(examples().get(stage, stage), "schema", None)
    if schema is None:
        return []
    lines = ["## Columns", ""]
    lines += [("Besides these, " if len(schema) else "") + "`status` and `reason` of each row.", ""]
    return [*lines, *column_table(schema, stage.__module__)]


@cache
def examples() -> Mapping[type[Stage], Stage]:
    """Returns a stage of each kind as a run has it: those of the demo's settings, which has most of them."""
    steps = build_graph(load_settings(CONFIGS / "demo.yaml", Config))
    return {type(node.stage): node.stage for step in reversed(steps) for node in reversed(step.nodes)}


def _index(stages: Sequence[type[Stage]]) -> str:
    lines = ["# Stages", "", "All stages, in the order in which each finds what it reads. [How stages work together]"]
    lines[-1] += "(../../stages.md) is a page of its own."
    lines += ["", "Every row has a status and a reason. A row on which a stage raised has failed, with a reason that"]
    lines += ["begins with `error:`, whatever stage it was; the pages have the other reasons."]
    heads = ("stage", "gives for each row", "settings")
    for title, over_pairs in (("Over the rows of sources", False), ("Over the pairs of datasets", True)):
        rows = [
            (f"[{_title(each, stages)}]({page_name(each, stages)}.md)", escaped(each.summary), _settings(each))
            for each in stages
            if each.over_pairs is over_pairs
        ]
        lines += ["", f"## {title}", "", *table(heads, rows)]
    return "\n".join(lines)


def _page(stage: type[Stage], stages: Sequence[type[Stage]]) -> str:
    lines = [f"# {_title(stage, stages)}", "", prose(sys.modules[stage.__module__].__doc__), ""]
    lines += stage_facts(stage, stages)
    if stage.settings_key:
        tables = SettingsTables({each: f"../encoders.md#{kind_of(each)}" for each in ENCODERS})
        shared = [each for each in stages if each.settings_key == stage.settings_key and each is not stage]
        with_others = f" They are those of {_listed(shared, stages)} as well." if shared else ""
        lines += ["## Settings", "", f"Below `stages.{stage.settings_key}` of the settings file.{with_others}", ""]
        of_settings = tables.of(stage.settings_type)
        lines += [*tables.note(), *of_settings]
        lines += ["## Example", "", "```yaml", stage_example(stage), "```", ""]
    lines += [*stage_reasons(stage), *stage_columns(stage), "## Details", "", prose(stage.__doc__), ""]
    return "\n".join(lines)


def _facts(stage: type[Stage], stages: Sequence[type[Stage]], instance: Stage | None) -> Iterator[tuple[str, str]]:
    """Yields what a stage declares: a name and a text for each fact, "" where there is nothing to say."""
    yield "gives for each row", escaped(stage.summary)
    yield "kind", _kind(stage)
    kinds = ", ".join(f"{each}" for each in Gives if each in stage.over)
    yield "over", f"pairs of datasets of {kinds}" if stage.over_pairs else f"sources of {kinds}"
    reads: tuple[str, ...] = getattr(stage, "reads", ()) or getattr(instance, "reads", ())
    yield "reads", _tables(reads, stages)
    yield "reads where they exist", _tables(stage.optional_reads, stages)
    yield "reads of all shards", ", ".join(f"{_table(pool.name, stages)} ({pool.scope})" for pool in stage.pools)
    yield "read by", _listed(_readers(stage, stages), stages)
    yield "known to later stages as", ", ".join(map(code, stage.roles))
    yield "removes rows", "yes" if stage.filters_rows else "no"
    yield "rows", "any number for each row that it reads" if stage.fan_out else ""
    yield "evaluation sets", "runs over them as well" if stage.over_evaluation else ""
    yield "settings", _settings(stage)
    yield "worker", _resources(instance) if instance is not None else ""
    yield "repeatable", "no: its tables have generations (`--force`, `--retry`)" if stage.nondeterministic else ""
    yield "version", str(stage.version)


def _kind(stage: type[Stage]) -> str:
    if issubclass(stage, ShuffleStage):
        return "shuffle: rows of all shards meet by a key"
    return "search: each shard with a pool of other tables" if stage.pools else "map: each shard by itself"


def _resources(stage: Stage) -> str:
    needs = stage.resources
    parts = [f"{needs.cpus:g} CPU"]
    parts += [f"{needs.gpus:g} GPU"] * bool(needs.gpus)
    parts += ["holds a model or a pool for the whole run"] * needs.holds_model
    parts += [f"{needs.in_flight} shards at once"] * (needs.in_flight > 1)
    parts += ["waits on the network"] * needs.waits_on_network
    return ", ".join(parts)


def stage_reasons(stage: type[Stage]) -> list[str]:
    """Returns the lines about the reasons with which a stage removes rows."""
    rows = [(code(reason), escaped(meaning)) for reason, meaning in stage.reasons.items()]
    lines = table(("reason", "what it means"), rows)
    lines += table(("reason", "setting", "removes"), map(_threshold, (each for each in stage.thresholds)))
    return ["## Reasons", "", *lines] if lines else []


def _threshold(threshold: Threshold) -> tuple[str, ...]:
    unit = f" ({threshold.unit})" if threshold.unit else ""
    removed = f"{threshold.measures}{unit}: {_KEPT[threshold.bound]}"
    return code(threshold.reason) if threshold.reason else "", code(threshold.setting), escaped(removed)


def _readers(stage: type[Stage], stages: Sequence[type[Stage]]) -> Iterable[type[Stage]]:
    """Returns the stages that read the table of a stage by its name or by one of its roles."""
    names = {stage.name, *stage.roles}
    for each in stages:
        reads = (*getattr(each, "reads", ()), *each.optional_reads, *(pool.name for pool in each.pools))
        if names & set(reads) and each is not stage:
            yield each


def _settings(stage: type[Stage]) -> str:
    return f"`stages.{stage.settings_key}`" if stage.settings_key else ""


def _title(stage: type[Stage], stages: Sequence[type[Stage]]) -> str:
    suffix = page_name(stage, stages).removeprefix(stage.name).replace("-", " ")
    return code(stage.name) + (f" of{suffix}" if suffix else "")


def _listed(named: Iterable[type[Stage]], stages: Sequence[type[Stage]]) -> str:
    return ", ".join(f"[{_title(each, stages)}](../stages/{page_name(each, stages)}.md)" for each in named)


def _tables(names: Iterable[str], stages: Sequence[type[Stage]]) -> str:
    return ", ".join(_table(name, stages) for name in names)


def _table(name: str, stages: Sequence[type[Stage]]) -> str:
    """Returns the name of a table with links to the stages that write it, or to the page that says what it is."""
    writers = [each for each in stages if each.name == name]
    if writers:
        return _listed(writers, stages)
    return f"[{code(name)}]({_TABLES[name]})" if name in _TABLES else code(name)
