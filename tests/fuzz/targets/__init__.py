"""All targets by name: a file for each family of readers."""

from __future__ import annotations

from ..target import Target
from . import answers, archives, corpora, images, records, settings, tables, texts, videos, web

TARGETS: dict[str, Target] = {
    target.name: target
    for family in (images, archives, tables, records, videos, web, settings, texts, answers, corpora)
    for target in family.TARGETS
}
