"""The project's settings files. The config of an embedder on the hub is here that of a checkpoint nearby."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from corpus.settings import parse_settings
from demo.vlm import CHECKPOINT
from pipelines.config import Config
from pipelines.templates import CONFIGS


def settings_files() -> Iterator[tuple[str, Config]]:
    """Yields the name of each file, and its settings."""
    for path in sorted(CONFIGS.glob("*.yaml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        encoder = data.get("stages", {}).get("embed", {}).get("encoder", {})
        if encoder.get("kind") == "rzenembed":
            encoder["model"] = str(CHECKPOINT)
        yield path.name, parse_settings(data, Config, where=path.name)
