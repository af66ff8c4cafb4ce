"""One HTTP exchange with an OpenAI-compatible endpoint, whatever is requested: body, response, and what failed."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from corpus.printable import printable
from corpus.retry_after import retry_after_s
from serving.openai.settings import EndpointAccess
from serving.request import BackendError, ModelResponse, PayloadT

if TYPE_CHECKING:
    import aiohttp

CallT = TypeVar("CallT")

REFUSED = "refused_input"

# Statuses that any request would get, and what the user should check.
_ADVICE = dict.fromkeys((301, 302, 303, 307, 308), "Redirects are not followed: name the right URL in `endpoints`")
_ADVICE |= dict.fromkeys((401, 402, 403), "Check {key}")
_ADVICE |= dict.fromkeys((404, 405), "Check that `endpoints` is the base URL (…/v1) and `model` a name that it serves")
_MAX_DETAIL_CHARS = 200  # of a server's message


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


@dataclass(frozen=True)
class Route(Generic[CallT, PayloadT]):
    """A route of the API: the path and body of a request, and the reader of its response."""

    path: str  # below the base URL
    body: Callable[[CallT], bytes]  # raises ValueError for what can't be sent
    read: Callable[[bytes], ModelResponse[PayloadT] | CallFailure]  # of a response with status 200
    check: str  # the settings to look at when all requests are refused
    refusal: Callable[[str], str] = lambda message: REFUSED  # the error of a request that a server refused with this


async def post(
    session: aiohttp.ClientSession,
    url: str,
    body: bytes,
    settings: EndpointAccess,
    key: str,
    route: Route[Any, PayloadT],
) -> ModelResponse[PayloadT] | CallFailure:
    """Posts `body` once to the endpoint at the base URL `url`, within `timeout_s` and `max_response_bytes`.

    Raises BackendError for a status that any other request would get as well. The session sends the key; `key` is
    masked in messages.
    """
    import aiohttp  # not at the top: every run reads settings of encoders, which most have none of

    try:
        async with (
            asyncio.timeout(settings.timeout_s),
            session.post(f"{url}/{route.path}", data=io.BytesIO(body), allow_redirects=False) as response,
        ):
            data = await _read(response.content, settings.max_response_bytes)
            status, retry_after = response.status, response.headers.get("Retry-After")
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        return CallFailure("unreachable", clean(f"cannot connect: {error}", key), "endpoint")
    except TimeoutError:
        return CallFailure("timeout", f"no answer in {settings.timeout_s:g} s", "request")
    except (aiohttp.ClientError, OSError) as error:
        message = f"connection lost: {type(error).__name__}: {error}"
        return CallFailure("connection_lost", clean(message, key), "request")
    if status == 200:
        if len(data) > settings.max_response_bytes:
            return CallFailure("bad_answer", f"more than {settings.max_response_bytes} bytes", "request")
        outcome = route.read(data)
        return replace(outcome, detail=clean(outcome.detail, key))
    message = clean(message_of(data), key)
    if status in _ADVICE:
        which = (
            f"the key in the environment variable {settings.api_key_env}" if key else "`api_key_env`: no key is sent"
        )
        raise BackendError(f"{url}: {status}: {message or 'no message'}. {_ADVICE[status].format(key=which)}")
    outcome = classify_status(status, message, retry_after_s(retry_after) or 0.0)
    return replace(outcome, error=route.refusal(message)) if outcome.error == REFUSED else outcome


async def _read(content: aiohttp.StreamReader, max_bytes: int) -> bytes:
    """Reads a body, of a longer one a little more than `max_bytes`."""
    data = bytearray()
    async for chunk in content.iter_any():
        data += chunk
        if len(data) > max_bytes:
            break
    return bytes(data)


def classify_status(status: int, message: str, wait_s: float) -> ModelResponse[Any] | CallFailure:
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
    return ModelResponse(error=REFUSED, detail=message or str(status))


def message_of(data: bytes) -> str:
    """Returns the message in the body of an error by OpenAI, vLLM, lmdeploy or FastAPI; of others the whole body."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace").strip()
    for path in (("error", "message"), ("message",), ("detail",), ("error",)):
        found = json_value(message, *path)
        if found:
            return found if isinstance(found, str) else json.dumps(found)
    return json.dumps(message)


def json_value(value: Any, *path: str | int) -> Any:
    """Returns the value at `path` in JSON data, None if there is none."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and len(value) > step else None
    return value


def count_of(value: Any) -> int:
    """Returns a number of tokens from a response; 0 for anything that is no sensible count."""
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def clean(text: str, key: str = "") -> str:
    """Returns a server's text as one short printable line, with the key masked."""
    return printable(" ".join((text.replace(key, "***") if key else text).split()), _MAX_DETAIL_CHARS)
