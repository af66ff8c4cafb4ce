"""The settings that were set, and the versions of this program and of what its results depend on."""

from __future__ import annotations

import yaml

from corpus.urls import without_credentials
from pipelines.report.context import ReportContext
from pipelines.report.html.page import escape
from pipelines.report.html.table import Column, table_html
from pipelines.report.sections.base import card
from pipelines.run_graph.publishing import versions


def settings_section(context: ReportContext) -> str:
    """Prints the settings as YAML, without what is at its default, and a table of versions."""
    data = context.config.model_dump(mode="json", exclude_unset=True)
    text = without_credentials(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100))
    rows = [(escape(name), escape(number)) for name, number in sorted(versions().items())]
    return (
        f'<section class="card"><details class="settings"><summary>Settings, without defaults</summary>'
        f'<pre tabindex="0">{escape(text)}</pre></details></section>'
        + card("Versions", table_html((Column("package"), Column("version")), rows))
    )
