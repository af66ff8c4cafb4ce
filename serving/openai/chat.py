"""One call of an OpenAI-compatible endpoint for a chat completion: request body, HTTP exchange, response."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from dataclasses import dataclass, replace
from typing import Any, Literal

import aiohttp
import cv2
import numpy as np

from corpus.printable import LONE_SURROGATE, printable
from corpus.retry_after import retry_after_s
from serving.openai.settings import EndpointSettings
from serving.request import BackendError, GenerateRequest, GenerateResponse, Pixels, SamplingSettings

# Statuses that any request would get, and what the user should check.
_ADVICE = dict.fromkeys((301, 302, 303, 307, 308), "Redirects are not followed: name the right URL in `endpoints`")
_ADVICE |= dict.fromkeys((401, 402, 403), "Check {key}")
_ADVICE |= dict.fromkeys((404, 405), "Check that `endpoints` is the base URL (…/v1) and `model` a name that it serves")
_MAX_DETAIL_CHARS = 200  # of a server's message
_MAX_SEED = 2**63 - 1  # servers read it as int64


class EncodeError(ValueError):
    """Pixels that cannot be encoded: wrong shape or type, or a side that the format can't hold."""


@dataclass(frozen=True, slots=True)
class CallFailure:
    """A failed call that may be repeated.

    `fault` says what may have caused it: the "request"; the "endpoint", which never accepted the request or has too
    many; or "unclear": the request, if the endpoint answers others meanwhile. `wait_s`: of the server's Retry-After.
    """

    error: str
    detail: str
    fault: Literal["request", "endpoint", "unclear"]
    wait_s: float = 0.0


def chat_body(request: GenerateRequest, settings: EndpointSettings, sampling: SamplingSettings) -> bytes:
    """Returns the request as JSON, the same bytes for the same request. Raises ValueError for what can't be sent."""
    urls = [data_url(image, settings.image_format, settings.jpeg_quality) for image in request.images]
    content: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content.append({"type": "text", "text": request.prompt})
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": [{"role": "user", "content": content}],
        "temperature": sampling.temperature if request.temperature is None else request.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": request.seed & _MAX_SEED,
    }
    if sampling.repetition_penalty != 1:  # OpenAI itself doesn't know it
        body["repetition_penalty"] = sampling.repetition_penalty
    if request.json_schema:
        schema = json.loads(request.json_schema)
        if settings.structured_output == "guided_json":
            body["guided_json"] = schema
        else:
            response_format = {"name": "caption", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": response_format}
    return json.dumps(body | settings.extra_body, sort_keys=True, separators=(",", ":")).encode("ascii")


def data_url(pixels: Pixels, image_format: Literal["jpeg", "png"], jpeg_quality: int) -> str:
    """Encodes RGB pixels, uint8 (height, width, 3), as `data:image/...;base64,...`, always as the same text.

    Raises EncodeError.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise EncodeError(f"expected uint8 pixels (height, width, 3), got {pixels.dtype} {pixels.shape}")
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if image_format == "jpeg" else []
    try:
        bgr = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2BGR)
        done, encoded = cv2.imencode(f".{image_format}", bgr, options)
    except cv2.error as error:
        raise EncodeError(f"{image_format}: {error.err or error}") from None
    if not done:
        raise EncodeError(f"{image_format}: {pixels.shape[1]}×{pixels.shape[0]} pixels can't be written")
    return f"data:image/{image_format};base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"


async def post_chat(
    session: aiohttp.ClientSession, url: str, body: bytes, settings: EndpointSettings, key: str
) -> GenerateResponse | CallFailure:
    """Posts `body` once to the endpoint at the base URL `url`, within `timeout_s` and `max_response_bytes`.

    Raises BackendError for a status that any other request would get as well. The session sends the key; `key` is
    masked in messages.
    """
    try:
        async with (
            asyncio.timeout(settings.timeout_s),
            session.post(f"{url}/chat/completions", data=io.BytesIO(body), allow_redirects=False) as response,
        ):
            data = await _read(response.content, settings.max_response_bytes)
            status, retry_after = response.status, response.headers.get("Retry-After")
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        return CallFailure("unreachable", _clean(f"cannot connect: {error}", key), "endpoint")
    except TimeoutError:
        return CallFailure("timeout", f"no answer in {settings.timeout_s:g} s", "request")
    except (aiohttp.ClientError, OSError) as error:
        message = f"connection lost: {type(error).__name__}: {error}"
        return CallFailure("connection_lost", _clean(message, key), "request")
    if status == 200:
        if len(data) > settings.max_response_bytes:
            return CallFailure("bad_answer", f"more than {settings.max_response_bytes} bytes", "request")
        outcome = read_response(data)
        return replace(outcome, detail=_clean(outcome.detail, key))
    message = _clean(_message(data), key)
    if status in _ADVICE:
        which = (
            f"the key in the environment variable {settings.api_key_env}" if key else "`api_key_env`: no key is sent"
        )
        raise BackendError(f"{url}: {status}: {message or 'no message'}. {_ADVICE[status].format(key=which)}")
    return classify_status(status, message, retry_after_s(retry_after) or 0.0)


async def _read(content: aiohttp.StreamReader, max_bytes: int) -> bytes:
    """Reads a body, of a longer one a little more than `max_bytes`."""
    data = bytearray()
    async for chunk in content.iter_any():
        data += chunk
        if len(data) > max_bytes:
            break
    return bytes(data)


def classify_status(status: int, message: str, wait_s: float) -> GenerateResponse | CallFailure:
    """Returns the error or the failure that a status other than 200 stands for; `message` is the server's."""
    detail = f"{status}: {message}"[:_MAX_DETAIL_CHARS]
    if status == 429:
        return CallFailure("rate_limited", detail, "endpoint", wait_s)
    if status in (408, 504):
        return CallFailure("timeout", detail, "request", wait_s)
    if status in (502, 503):
        return CallFailure("server_error", detail, "unclear", wait_s)
    if status in (409, 425) or status >= 500:
        return CallFailure("server_error", detail, "request", wait_s)
    if status < 400:
        return CallFailure("bad_answer", detail, "request")
    return GenerateResponse(error="refused_input", detail=message or str(status))


def read_response(data: bytes) -> GenerateResponse | CallFailure:
    """Parses a chat completion: text, finish reason, tokens; error `bad_answer` where it has no text."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError) as error:
        return CallFailure("bad_answer", f"not JSON: {error}", "request")
    choice = _value_at(message, "choices", 0)
    finish_reason, text = _value_at(choice, "finish_reason"), _value_at(choice, "message", "content")
    if finish_reason in ("error", "abort"):  # of requests that lmdeploy or vLLM dropped
        return CallFailure("server_error", f"finish_reason: {finish_reason}", "request")
    if not isinstance(text, str):
        found = "no text in the message" if choice else _clean(f"no choices: {_message(data)}")
        return GenerateResponse(error="bad_answer", detail=found)
    return GenerateResponse(
        payload=LONE_SURROGATE.sub("\ufffd", text),
        finish_reason=_clean(finish_reason) if isinstance(finish_reason, str) else "",
        prompt_tokens=_count(_value_at(message, "usage", "prompt_tokens")),
        completion_tokens=_count(_value_at(message, "usage", "completion_tokens")),
    )


def _message(data: bytes) -> str:
    """Returns the message in the body of an error by OpenAI, vLLM, lmdeploy or FastAPI; of others the whole body."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace").strip()
    for path in (("error", "message"), ("message",), ("detail",), ("error",)):
        found = _value_at(message, *path)
        if found:
            return found if isinstance(found, str) else json.dumps(found)
    return json.dumps(message)


def _value_at(value: Any, *path: str | int) -> Any:
    """Returns the value at `path` in JSON data, None if there is none."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and len(value) > step else None
    return value


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def _clean(text: str, key: str = "") -> str:
    """Returns a server's text as one short printable line, with the key masked."""
    return printable(" ".join((text.replace(key, "***") if key else text).split()), _MAX_DETAIL_CHARS)
