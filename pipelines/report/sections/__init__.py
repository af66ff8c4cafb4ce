"""Sections of the report: each is a module with one function, from a context to HTML."""

from __future__ import annotations

from pipelines.report.sections.base import ReportSection
from pipelines.report.sections.captions import captions_section
from pipelines.report.sections.clips import clips_section
from pipelines.report.sections.failures import failures_section
from pipelines.report.sections.families import families_section
from pipelines.report.sections.funnel import funnel_section
from pipelines.report.sections.labels import labels_section
from pipelines.report.sections.mining import mining_section
from pipelines.report.sections.mixtures import mixtures_section
from pipelines.report.sections.numbers import numbers_section
from pipelines.report.sections.removed import removed_section
from pipelines.report.sections.settings import settings_section
from pipelines.report.sections.stages import stages_section

SECTIONS: tuple[ReportSection, ...] = (
    ReportSection("funnel", "From rows to what is kept", funnel_section),
    ReportSection("mixtures", "Mixtures", mixtures_section),
    ReportSection("failures", "Failures and notices", failures_section),
    ReportSection("removed", "Removed rows", removed_section),
    ReportSection("numbers", "Numbers and their bounds", numbers_section),
    ReportSection("families", "Duplicate families", families_section),
    ReportSection("captions", "Captions", captions_section),
    ReportSection("clips", "Clip groups", clips_section),
    ReportSection("mining", "Hard negatives", mining_section),
    ReportSection("labels", "Merged labels", labels_section),
    ReportSection("stages", "Stages and runs", stages_section),
    ReportSection("settings", "Settings and versions", settings_section),
)
