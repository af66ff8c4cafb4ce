"""The settings of clients of OpenAI-compatible servers: endpoints, retries, and how requests are encoded."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator
from yarl import URL

from corpus.settings import Settings, tuning

# Keys of a request's body that other settings set, and `stream`, which is not supported.
_RESERVED = frozenset({"model", "messages", "temperature", "top_p", "max_tokens", "repetition_penalty", "seed"})
_RESERVED |= {"response_format", "guided_json", "stream", "n"}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class EndpointAccess(Settings):
    """Settings of the access to servers that speak one of OpenAI's protocols: `vllm serve`, lmdeploy, SGLang, hosted.

    Where the servers are, how many requests each is given and how patiently it is waited for are tuning: moving a model
    to other machines makes no result stale. What runs there is named by `model` and `revision`, and not checked.
    """

    reserved: ClassVar[frozenset[str]] = frozenset()  # keys of a request's body that other settings set
    set_elsewhere: ClassVar[str] = "`model`"  # these settings

    model: str = Field(min_length=1, description="The model's name as the servers know it.")
    revision: str = Field(
        "",
        description="The revision of the model that the servers run, as results record it; it is to change with the "
        "model.",
    )

    endpoints: tuple[str, ...] = tuning(
        ..., min_length=1, description="Base URLs, such as http://host:8000/v1, which all serve the same model."
    )
    api_key_env: str = tuning(
        "", description='The environment variable that holds the key, which is stored nowhere; "" sends none.'
    )

    concurrency_per_endpoint: int = tuning(32, ge=1, description="Requests in flight at once at each endpoint.")
    encode_threads: int = tuning(2, ge=1, description="Threads that encode images, for all endpoints together.")
    timeout_s: float = tuning(
        120.0, gt=0, description="The longest attempt, from the connection to the last byte of the response."
    )
    connect_timeout_s: float = tuning(5.0, gt=0, description="The longest wait for a connection.")
    max_attempts: int = tuning(
        4,
        ge=1,
        description="How often a request is tried that fails by a timeout, a server's error or a lost connection.",
    )
    backoff_s: float = tuning(
        1.0,
        gt=0,
        description="A request waits from 0 to `backoff_s` × 2^(n-1) after its failure n, an endpoint just as long "
        "after its n-th spell of failures; either at most `max_backoff_s`.",
    )
    max_backoff_s: float = tuning(30.0, gt=0, description="The longest wait after a failure.")
    max_outage_s: float = tuning(
        300.0, gt=0, description="The client gives up when no endpoint has responded for so long."
    )
    max_response_bytes: int = tuning(2**20, ge=1, description="The largest body of a response.")

    image_format: Literal["jpeg", "png"] = Field(
        "jpeg", description="How images are sent; PNG loses nothing and is several times as large."
    )
    jpeg_quality: int = Field(95, ge=1, le=100, description="The quality of JPEGs that are sent.")
    extra_body: dict[str, Any] = Field(
        {},
        description="More keys of every request's body, such as {top_k: 1} or {chat_template_kwargs: "
        "{enable_thinking: false}}.",
    )

    @property
    def capacity(self) -> int:
        """The number of requests that the client accepts before its callers wait."""
        return self.concurrency_per_endpoint * len(self.endpoints)

    @field_validator("endpoints")
    @classmethod
    def _are_base_urls(cls, endpoints: tuple[str, ...]) -> tuple[str, ...]:
        """Removes trailing slashes. The error message does not repeat a URL: it may hold a password."""
        for number, endpoint in enumerate(endpoints, 1):
            fault = _fault(endpoint)
            if fault:
                raise ValueError(f"number {number}: {fault}; a base URL is for instance http://host:8000/v1")
        endpoints = tuple(endpoint.rstrip("/") for endpoint in endpoints)
        if len(set(endpoints)) < len(endpoints):
            raise ValueError("one is named twice; raise `concurrency_per_endpoint` instead")
        return endpoints

    @field_validator("extra_body")
    @classmethod
    def _adds_only(cls, extra: dict[str, Any]) -> dict[str, Any]:
        taken = sorted(cls.reserved & extra.keys())
        if taken:
            raise ValueError(f"{', '.join(taken)}: set elsewhere ({cls.set_elsewhere}), or not possible")
        return extra

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.api_key_env and not _VARIABLE.fullmatch(self.api_key_env):  # not repeated: it may be a key
            raise ValueError("api_key_env must be the name of an environment variable that holds the key, not the key")
        if self.max_backoff_s < self.backoff_s:
            raise ValueError(f"max_backoff_s {self.max_backoff_s:g} is less than backoff_s {self.backoff_s:g}")
        if self.max_outage_s <= self.timeout_s:  # else one slow answer after a failure would end it all
            raise ValueError(f"max_outage_s {self.max_outage_s:g} must be longer than timeout_s {self.timeout_s:g}")
        return self


class EndpointSettings(EndpointAccess):
    """Settings of the client of servers that speak OpenAI's chat protocol."""

    reserved: ClassVar[frozenset[str]] = _RESERVED
    set_elsewhere: ClassVar[str] = "`model`, `sampling`, `structured_output`"

    kind: Literal["openai"] = Field(description="One or several servers that speak OpenAI's chat protocol.")
    family: str = Field(
        "",
        description="The family, whose pixel budget is used, of a model that `serving.models` does not know by name.",
    )
    structured_output: Literal["json_schema", "guided_json"] = Field(
        "json_schema", description="How a response in JSON is requested: as OpenAI does it, or as vLLM before 0.12 did."
    )


def _fault(endpoint: str) -> str:
    try:
        url = URL(endpoint)
    except Exception:  # noqa: BLE001 - ValueError, and IndexError of some
        return "not a URL"
    if url.scheme not in ("http", "https") or not url.host:
        return "not an http or https URL with a host"
    if url.user is not None or url.password is not None:
        return "credentials don't belong there: name in `api_key_env` the variable that holds the key"
    if url.query_string or url.fragment:
        return "a query or fragment can't be part of it"
    ending = next((each for each in ("/chat/completions", "/embeddings") if endpoint.rstrip("/").endswith(each)), "")
    return f"leave out {ending}" if ending else ""
