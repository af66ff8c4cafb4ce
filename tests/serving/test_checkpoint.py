"""The config of a checkpoint: the size of a vector, and the pixels of an image's token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus.settings import SettingsError
from demo.vlm import CHECKPOINT
from serving.checkpoint import hidden_size, read_config, token_side_px
from tests.helpers.cases import cases


def test_the_test_vlm() -> None:
    config = read_config(str(CHECKPOINT))
    assert (hidden_size(config), token_side_px(config)) == (192, 28)


@cases(
    "config, size, side_px",
    [
        ({"hidden_size": 3584, "vision_config": {"patch_size": 14, "spatial_merge_size": 2}}, 3584, 28),
        ({"hidden_size": 8, "text_config": {"hidden_size": 2048}, "vision_config": {"patch_size": 16}}, 2048, 32),
        ({"text_config": {"hidden_size": 4096}, "vision_config": {"hidden_size": 4096}}, 4096, 28),
    ],
)
def test_configs_of_several_versions(config: dict[str, Any], size: int, side_px: int) -> None:
    assert (hidden_size(config), token_side_px(config)) == (size, side_px)


@cases("content", ["", "[1]", "{]", '{"model_type": "bert", "hidden_size": "many"}'])
def test_what_is_no_such_config_says_where(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(SettingsError, match=r"config\.json"):
        hidden_size(read_config(str(tmp_path)))
    with pytest.raises(SettingsError, match=r"config\.json"):
        token_side_px(read_config(str(tmp_path)))


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_config(str(tmp_path))


def test_what_is_neither_a_folder_nor_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SettingsError, match="'no/such-model': its config cannot be downloaded"):
        read_config("no/such-model")
