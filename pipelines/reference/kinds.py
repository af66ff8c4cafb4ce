"""A page for each kind of source, dataset and encoder, and for the other sections of a settings file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import get_type_hints

from pydantic import BaseModel

from corpus.stage import Stage
from mining.encoders import ENCODERS
from mining.encoders.base import EncoderSettings
from pipelines.config import DATASETS, Config
from pipelines.engines import EngineSettings
from pipelines.evaluation.settings import EVALUATION_SOURCES, EvaluationSet
from pipelines.pairs.base import DatasetSettings
from pipelines.publish.mixture import MixtureSettings
from pipelines.reference.examples import entry_example
from pipelines.reference.markdown import code, escaped, prose, table
from pipelines.reference.settings_tables import Links, SettingsTables, kind_of
from pipelines.reference.stages import stage_columns, stage_facts, stage_reasons
from pipelines.sources import SOURCES
from pipelines.sources.base import SourceSettings

_DEFAULT_DATASET = "images"


def source_pages(sources: Sequence[type[SourceSettings]] = EVALUATION_SOURCES) -> dict[str, str]:
    """Returns a page for each kind of source and one that lists them, by their paths in the site."""
    for_evaluation = [each for each in sources if each not in SOURCES]
    lines = ["# Sources", "", "The kinds of sources. [What holds for all of them](../../sources.md) is a page of its"]
    lines += ["own.", "", *_list_of([each for each in sources if each not in for_evaluation])]
    if for_evaluation:
        lines += ["## Of evaluation sets alone", "", *_list_of(for_evaluation)]
    return {
        "reference/sources/index.md": "\n".join(lines),
        **{f"reference/sources/{kind_of(each)}.md": _source_page(each) for each in sources},
    }


def dataset_pages(datasets: Sequence[type[DatasetSettings]] = DATASETS) -> dict[str, str]:
    """Returns a page for each kind of dataset and one that lists them, by their paths in the site."""
    rows = [(f"[{code(kind_of(each))}]({kind_of(each)}.md)", _first_paragraph(each)) for each in datasets]
    lines = ["# Datasets", "", "A dataset says how the rows of sources become pairs: the stage `pairs`, in a way of"]
    lines += ["each kind.", "", *table(("kind", "what it is"), rows)]
    return {
        "reference/datasets/index.md": "\n".join(lines),
        **{f"reference/datasets/{kind_of(each)}.md": _dataset_page(each) for each in datasets},
    }


def encoder_page(encoders: Sequence[type[EncoderSettings]] = ENCODERS) -> dict[str, str]:
    """Returns the page of the encoders, by its path in the site."""
    tables, lines = SettingsTables(), ["# Encoders", "", "Encoders turn the sides of pairs, and items, into vectors."]
    lines += ["They are the setting `encoder` of several stages; [mining](../mining.md) says which to take.", ""]
    sections: list[str] = []
    for each in encoders:
        sections += [f"## {code(kind_of(each))} {{#{kind_of(each)}}}", "", escaped(f"{each.summary}."), ""]
        sections += [prose(each.__doc__), "", *tables.of(each, kind_of(each))]
    return {"reference/encoders.md": "\n".join([*lines, *tables.note(), *sections])}


def section_pages() -> dict[str, str]:
    """Returns the pages of the sections of a settings file, by their paths in the site."""
    stages: type[BaseModel] = type(Config.model_fields["stages"].get_default())
    sources: dict[type[BaseModel], str] = {each: f"sources/{kind_of(each)}.md" for each in EVALUATION_SOURCES}
    links: dict[type[BaseModel], str] = {each: f"datasets/{kind_of(each)}.md" for each in DATASETS}
    links |= sources
    links[MixtureSettings], links[EvaluationSet] = "mixtures.md", "evaluation.md"
    links[EngineSettings], links[stages] = "engine.md", "stages/index.md"
    return {
        "reference/settings.md": _section("Settings file", Config, links, "../settings.md"),
        "reference/engine.md": _section("Engine", EngineSettings, {}, "../engines.md", "engine"),
        "reference/mixtures.md": _section("Mixtures", MixtureSettings, {}, "../mixtures.md", "mixtures.NAME"),
        "reference/evaluation.md": _section(
            "Evaluation sets", EvaluationSet, sources, "../decontamination.md", "evaluation.NAME"
        ),
    }


def _section(title: str, model: type[BaseModel], links: Links, page: str, key: str = "") -> str:
    tables = SettingsTables(links)
    where = f"Below `{key}` of the settings file. " if key else ""
    lines = [
        f"# {title}",
        "",
        prose(model.__doc__),
        "",
        f"{where}[What they are for]({page}) is a page of its own.",
        "",
    ]
    of_settings = tables.of(model, level=2)
    return "\n".join([*lines, *tables.note(), *of_settings])


def _list_of(sources: Iterable[type[SourceSettings]]) -> list[str]:
    rows = [
        (", ".join(f"[{code(kind)}]({kind_of(each)}.md)" for kind in each.kinds()), each.gives, escaped(each.summary))
        for each in sources
    ]
    return table(("kind", "gives", "what it reads"), rows)


def _source_page(source: type[SourceSettings]) -> str:
    tables = SettingsTables()
    title = ", ".join(map(code, source.kinds()))
    lines = [f"# {title}", "", escaped(f"{source.summary[:1].upper()}{source.summary[1:]}."), ""]
    lines += [prose(sys.modules[source.__module__].__doc__), ""]
    facts = [
        ("**gives**", str(source.gives)),
        ("**in place**", "yes: nothing is downloaded" if source.in_place else ""),
    ]
    lines += table(("", ""), [fact for fact in facts if fact[1]])
    of_settings = tables.of(source)
    lines += ["## Settings", "", "Below `sources.NAME` of the settings file.", "", *tables.note(), *of_settings]
    for kind in source.kinds():
        if example := entry_example("sources", kind):
            lines += [f"## Example of {code(kind)}", "", "```yaml", example, "```", ""]
    return "\n".join(lines)


def _dataset_page(dataset: type[DatasetSettings]) -> str:
    tables, kind = SettingsTables(), kind_of(dataset)
    maker: type[Stage] = get_type_hints(dataset.pairs_stage)["return"]
    lines = [f"# {code(kind)}", "", prose(dataset.__doc__), "", "The stage that makes its pairs:", ""]
    lines += stage_facts(maker)
    of_settings = tables.of(dataset)
    lines += ["## Settings", "", "Below `datasets.NAME` of the settings file.", "", *tables.note(), *of_settings]
    if example := entry_example("datasets", kind, _DEFAULT_DATASET):
        lines += ["## Example", "", "```yaml", example, "```", ""]
    lines += [*stage_reasons(maker), *stage_columns(maker), "## Details", "", prose(maker.__doc__), ""]
    return "\n".join(lines)


def _first_paragraph(model: type[BaseModel]) -> str:
    return prose(model.__doc__).split("\n\n")[0]
