"""Clients of an engine without a model."""

from __future__ import annotations

from typing import Any

from serving.request import SamplingSettings
from serving.vllm.client import VllmClient
from serving.vllm.settings import VllmSettings

WAIT_S = 60  # for what comes at once on a quiet machine


def fake_client(engine: str = "open_engine", **settings: Any) -> VllmClient:
    named = VllmSettings(kind="vllm", model="fake", **{"stall_timeout_s": 60.0, **settings})
    return VllmClient(named, SamplingSettings(), engine=f"tests.helpers.fake_engine:{engine}")
