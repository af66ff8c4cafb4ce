"""The config of a checkpoint, of which a few numbers are needed before a model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from corpus.settings import SettingsError
from corpus.strict_parse import parse_json

CONFIG = "config.json"


def hidden_size(config: Mapping[str, Any]) -> int:
    """Returns the numbers of a hidden state of the text model. Raises SettingsError where the config names none."""
    text = config.get("text_config")
    size = (text if isinstance(text, dict) else {}).get("hidden_size", config.get("hidden_size"))
    if not isinstance(size, int) or size < 1:
        raise SettingsError(f"{CONFIG}: no hidden_size in it: is it a language model?")
    return size


def token_side_px(config: Mapping[str, Any]) -> int:
    """Returns the side of the square of pixels that an image's token stands for: patch × merge of the vision tower.

    Raises SettingsError where the config has no such vision tower.
    """
    vision = config.get("vision_config")
    vision = vision if isinstance(vision, dict) else {}
    # Configs of Qwen2-VL leave out what is the default of its class in transformers.
    patch, merge = vision.get("patch_size", 14), vision.get("spatial_merge_size", 2)
    if not vision or not isinstance(patch, int) or not isinstance(merge, int) or patch * merge < 1:
        raise SettingsError(f"{CONFIG}: no vision tower with patches of the Qwen-VL family")
    return patch * merge


def read_config(model: str, revision: str = "") -> dict[str, Any]:
    """Returns the config of a folder, or of a repository of the hub, of which this one file is downloaded, once.

    Raises SettingsError where it cannot be read.
    """
    folder = Path(model)
    if folder.is_dir():
        return _parsed(folder / CONFIG)
    return dict(_hub_config(model, revision))


@lru_cache(maxsize=32)
def _hub_config(model: str, revision: str) -> dict[str, Any]:
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise SettingsError(
            f"model {model!r}: its config cannot be downloaded without the package huggingface_hub (extra hf); install "
            "it, or name a local folder"
        ) from None
    try:
        return _parsed(Path(hf_hub_download(model, CONFIG, revision=revision or None)))
    except (OSError, ValueError) as error:  # what the hub raises is one of both: no such repository, no network
        raise SettingsError(f"model {model!r}: its config cannot be downloaded: {error}") from error


def _parsed(path: Path) -> dict[str, Any]:
    try:
        config = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise SettingsError(f"{path}: not a JSON object")
    return config
