"""One exchange with an OpenAI-compatible endpoint: the body that is sent, and what comes of the answer."""

from __future__ import annotations

import asyncio
import io
import json
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

import aiohttp

from corpus.printable import printable
from corpus.retry_after import retry_after_s
from recaption.data_urls import data_url
from recaption.endpoint_settings import EndpointSettings
from recaption.requests import Answer, CaptionerError, Request, Sampling

# Statuses that say the same whatever is asked, and what to look at.
_CHECKS = dict.fromkeys((301, 302, 303, 307, 308), "Redirects are not followed: name the right URL in `endpoints`")
_CHECKS |= dict.fromkeys((401, 402, 403), "Check {key}")
_CHECKS |= dict.fromkeys((404, 405), "Check that `endpoints` is the base URL (…/v1) and `model` a name that it serves")
_DETAIL = 200  # characters of a stranger's text that are kept
_SURROGATES = re.compile("[\ud800-\udfff]")  # JSON can spell them, UTF-8 cannot
_LARGEST_SEED = 2**63 - 1  # servers read it as int64


@dataclass(frozen=True, slots=True)
class Trouble:
    """An exchange without an answer, which another one may bring.

    `fault` is whose it may be: the "request", the "endpoint" (which never took the request, or has too many), or
    "unclear": the request's if the endpoint answers others meanwhile. `wait_s`: the endpoint asks to be left alone.
    """

    error: str
    detail: str
    fault: Literal["request", "endpoint", "unclear"]
    wait_s: float = 0.0


def chat_body(request: Request, settings: EndpointSettings, sampling: Sampling) -> bytes:
    """The request as JSON; the same request gives the same bytes. Raises ValueError for what can't be sent."""
    urls = [data_url(image, settings.image_format, settings.jpeg_quality) for image in request.images]
    content: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content.append({"type": "text", "text": request.prompt})
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": [{"role": "user", "content": content}],
        "temperature": sampling.temperature if request.temperature is None else request.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": request.seed & _LARGEST_SEED,
    }
    if sampling.repetition_penalty != 1:  # OpenAI itself doesn't know it
        body["repetition_penalty"] = sampling.repetition_penalty
    if request.json_schema:
        schema = json.loads(request.json_schema)
        if settings.structured == "guided_json":
            body["guided_json"] = schema
        else:
            named = {"name": "caption", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
    return json.dumps(body | settings.extra_body, sort_keys=True, separators=(",", ":")).encode("ascii")


async def ask(
    session: aiohttp.ClientSession, url: str, body: bytes, settings: EndpointSettings, key: str
) -> Answer | Trouble:
    """POST `body` to the endpoint at the base URL `url`, once, within `timeout_s` and `max_answer_bytes`.

    Raises CaptionerError for an answer that any other request would get as well. `key`, which the session sends, is
    needed here only so that nothing that is kept repeats it.
    """
    try:
        async with (
            asyncio.timeout(settings.timeout_s),
            session.post(f"{url}/chat/completions", data=io.BytesIO(body), allow_redirects=False) as response,
        ):
            data = await _read(response.content, settings.max_answer_bytes)
            status, retry_after = response.status, response.headers.get("Retry-After")
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        return Trouble("unreachable", _clean(f"cannot connect: {error}", key), "endpoint")
    except TimeoutError:
        return Trouble("timeout", f"no answer in {settings.timeout_s:g} s", "request")
    except (aiohttp.ClientError, OSError) as error:
        said = f"connection lost: {type(error).__name__}: {error}"
        return Trouble("connection_lost", _clean(said, key), "request")
    if status == 200:
        if len(data) > settings.max_answer_bytes:
            return Trouble("bad_answer", f"more than {settings.max_answer_bytes} bytes", "request")
        outcome = read_answer(data)
        return replace(outcome, detail=_clean(outcome.detail, key))
    said = _clean(_message(data), key)
    if status in _CHECKS:
        which = (
            f"the key in the environment variable {settings.api_key_env}" if key else "`api_key_env`: no key is sent"
        )
        raise CaptionerError(f"{url}: {status}: {said or 'no message'}. {_CHECKS[status].format(key=which)}")
    return judge(status, said, retry_after_s(retry_after) or 0.0)


async def _read(content: aiohttp.StreamReader, most: int) -> bytes:
    """The body, or a little more than `most` bytes of a longer one."""
    data = bytearray()
    async for chunk in content.iter_any():
        data += chunk
        if len(data) > most:
            break
    return bytes(data)


def judge(status: int, said: str, wait_s: float) -> Answer | Trouble:
    """What a status other than 200 means for the request; `said` is the server's message."""
    detail = f"{status}: {said}"[:_DETAIL]
    if status == 429:
        return Trouble("rate_limited", detail, "endpoint", wait_s)
    if status in (408, 504):
        return Trouble("timeout", detail, "request", wait_s)
    if status in (502, 503):
        return Trouble("server_error", detail, "unclear", wait_s)
    if status in (409, 425) or status >= 500:
        return Trouble("server_error", detail, "request", wait_s)
    if status < 400:
        return Trouble("bad_answer", detail, "request")
    return Answer(error="refused_input", detail=said or str(status))


def read_answer(data: bytes) -> Answer | Trouble:
    """A chat completion's text, why it ended, and tokens; `bad_answer` where there is no text."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as error:
        return Trouble("bad_answer", f"not JSON: {error}", "request")
    choice = _at(said, "choices", 0)
    finish_reason, text = _at(choice, "finish_reason"), _at(choice, "message", "content")
    if finish_reason in ("error", "abort"):  # lmdeploy's and vLLM's word for a request that they dropped
        return Trouble("server_error", f"finish_reason: {finish_reason}", "request")
    if not isinstance(text, str):
        found = "no text in the message" if choice else _clean(f"no choices: {_message(data)}")
        return Answer(error="bad_answer", detail=found)
    return Answer(
        text=_SURROGATES.sub("\ufffd", text),
        finish_reason=_clean(finish_reason) if isinstance(finish_reason, str) else "",
        prompt_tokens=_count(_at(said, "usage", "prompt_tokens")),
        completion_tokens=_count(_at(said, "usage", "completion_tokens")),
    )


def _message(data: bytes) -> str:
    """What an error's body says: OpenAI's and vLLM's, lmdeploy's, FastAPI's way, or as it is."""
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace").strip()
    for path in (("error", "message"), ("message",), ("detail",), ("error",)):
        found = _at(said, *path)
        if found:
            return found if isinstance(found, str) else json.dumps(found)
    return json.dumps(said)


def _at(value: Any, *path: str | int) -> Any:
    """What lies at `path` in JSON data, None if nothing does."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and len(value) > step else None
    return value


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def _clean(text: str, key: str = "") -> str:
    """A stranger's text without the key, in one line, cut, each character escaped that can't be shown."""
    return printable(" ".join((text.replace(key, "***") if key else text).split()), _DETAIL)
