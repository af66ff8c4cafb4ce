from __future__ import annotations

import pytest
from pydantic import ValidationError

from serving.vllm.settings import PoolingModelSettings, VllmSettings


def test_gpus_of_a_replica() -> None:
    assert VllmSettings(kind="vllm", model="m").gpus_per_replica == 1
    assert VllmSettings(kind="vllm", model="m", tensor_parallel=4).gpus_per_replica == 4
    assert VllmSettings(kind="vllm", model="m", tensor_parallel=4, gpus=0).gpus_per_replica == 0


def test_twice_as_many_requests_are_in_flight_as_run_at_once() -> None:
    assert VllmSettings(kind="vllm", model="m", max_num_seqs=100).capacity == 200
    assert VllmSettings(kind="vllm", model="m", max_num_seqs=100, max_in_flight=7).capacity == 7


@pytest.mark.parametrize(
    ("setting", "value", "counts"),
    [
        ("max_num_seqs", 8, False),
        ("gpus", 0, False),
        ("stall_timeout_s", 7.0, False),
        ("enforce_eager", True, False),
        ("load_format", "dummy", True),
        ("dtype", "float16", True),
        ("max_model_len", 100, True),
        ("engine_args", {"quantization": "fp8"}, True),
    ],
)
def test_what_changes_captions_is_part_of_their_identity(setting: str, value: object, counts: bool) -> None:
    plain = VllmSettings(kind="vllm", model="m")
    other = VllmSettings.model_validate({"kind": "vllm", "model": "m", setting: value})
    assert (plain.canonical() != other.canonical()) == counts


def test_no_settings_of_an_embedder_let_a_request_hang() -> None:
    """Each of these, and what the error says."""
    bad: list[tuple[dict[str, object], str]] = [
        ({"max_model_len": 1999}, "greater than or equal to 2000"),
        ({"max_num_batched_tokens": 1000}, "greater than or equal to 2000"),
        ({"max_model_len": 8000, "max_num_batched_tokens": 7999}, "7999 is less than an input may have"),
        ({"engine_args": {"max_num_batched_tokens": 64}}, "max_num_batched_tokens: set by"),
        ({"engine_args": {"enable_chunked_prefill": True}}, "enable_chunked_prefill: set by"),
        ({"engine_args": {"enable_prefix_caching": True, "seed": 1}}, "enable_prefix_caching: set by"),
        ({"engine_args": {"hf_overrides": {}}, "positions": "flat"}, "hf_overrides: set by"),
    ]
    for settings, message in bad:
        with pytest.raises(ValidationError, match=message):
            PoolingModelSettings.model_validate({"model": "m", **settings})
    good = PoolingModelSettings.model_validate({"model": "m", "engine_args": {"hf_overrides": {}, "seed": 1}})
    assert (good.max_model_len, good.max_num_batched_tokens, good.positions) == (2000, 8192, "mrope")
