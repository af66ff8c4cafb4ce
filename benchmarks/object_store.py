"""An object store that takes its time: it serves a folder by the S3 protocol, and waits before it answers a request.

`python -m benchmarks.object_store FOLDER` prints its URL, and ends when its input does. The folders below FOLDER are
the buckets. It knows what this project asks of a store: GET, whole or by range, HEAD, PUT, DELETE of one key or of
many, and lists of at most 1,000 names. GET /-/requests returns how many requests of each kind there were since the last
time.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import hashlib
import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from aiohttp import web

DELAY_MS = 40.0
_PAGE = 1000  # names of a list, as S3 has it
_COUNTS = "/-/requests"
_MAX_BODY_BYTES = 1 << 30


class ObjectStore:
    """The buckets of a folder, with a sorted list of all keys (`bucket/key`)."""

    def __init__(self, folder: Path, delay_s: float) -> None:
        self._folder, self._delay_s = folder, delay_s
        self._keys = sorted(
            os.path.relpath(Path(where, name), folder) for where, _, names in os.walk(folder) for name in names
        )
        self.requests: Counter[str] = Counter()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answers a request after the delay."""
        if request.path == _COUNTS:
            counts, self.requests = self.requests, Counter()
            return web.json_response(counts)
        body = await request.read()
        await asyncio.sleep(self._delay_s)
        bucket, _, key = request.path.strip("/").partition("/")
        if request.method == "GET" and not key:
            self.requests["LIST"] += 1
            return self._listed(bucket, request)
        self.requests[request.method] += 1
        if request.method == "POST" and "delete" in request.query:
            return self._removed_all(bucket, body)
        path = self._folder / bucket / key
        if request.method == "PUT":
            return self._written(path, f"{bucket}/{key}", body)
        if request.method == "DELETE":
            self._remove(f"{bucket}/{key}")
            return web.Response(status=204)
        return self._read(request, path)

    def _read(self, request: web.Request, path: Path) -> web.Response:
        if path.is_dir() and request.method == "HEAD":  # of a bucket
            return web.Response()
        try:
            content = path.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            text = "<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>"
            return web.Response(status=404, text=text, content_type="application/xml")
        headers = {"ETag": f'"{hashlib.md5(content).hexdigest()}"', "Last-Modified": formatdate(usegmt=True)}
        part = request.http_range
        if request.method == "HEAD" or (part.start is None and part.stop is None):
            return web.Response(body=content, headers=headers)
        start, stop, _ = part.indices(len(content))
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return web.Response(status=206, body=content[start:stop], headers=headers)

    def _written(self, path: Path, name: str, body: bytes) -> web.Response:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            bisect.insort(self._keys, name)
        path.write_bytes(body)
        return web.Response(headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def _remove(self, name: str) -> None:
        at = bisect.bisect_left(self._keys, name)
        if at < len(self._keys) and self._keys[at] == name:
            del self._keys[at]
            (self._folder / name).unlink()

    def _removed_all(self, bucket: str, body: bytes) -> web.Response:
        for key in ElementTree.fromstring(body).iter("{*}Key"):
            self._remove(f"{bucket}/{key.text}")
        return web.Response(text="<DeleteResult/>", content_type="application/xml")

    def _listed(self, bucket: str, request: web.Request) -> web.Response:
        prefix = f"{bucket}/{request.query.get('prefix', '')}"
        start = f"{bucket}/{after}" if (after := request.query.get("continuation-token", "")) else prefix
        delimiter = request.query.get("delimiter", "")
        limit = min(_PAGE, int(request.query.get("max-keys", _PAGE)))
        at = bisect.bisect_left(self._keys, start)
        entries, count = [], 0
        while at < len(self._keys) and self._keys[at].startswith(prefix) and count < limit:
            key = self._keys[at]
            below, mark, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if mark:
                folder = f"{prefix}{below}{mark}"
                entries.append(f"<CommonPrefixes><Prefix>{escape(folder[len(bucket) + 1 :])}</Prefix></CommonPrefixes>")
                at = bisect.bisect_left(self._keys, f"{folder}\U0010ffff")
            else:
                entries.append(
                    f"<Contents><Key>{escape(key[len(bucket) + 1 :])}</Key><LastModified>2026-01-01T00:00:00.000Z"
                    '</LastModified><ETag>"0"</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>'
                )
                at += 1
            count += 1
        more = at < len(self._keys) and self._keys[at].startswith(prefix)
        token = escape(self._keys[at][len(bucket) + 1 :]) if more else ""
        text = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{''.join(entries)}<KeyCount>{count}</KeyCount>"
            + (f"<NextContinuationToken>{token}</NextContinuationToken>" if more else "")
            + "</ListBucketResult>"
        )
        return web.Response(text=text, content_type="application/xml")


async def serve(folder: Path, delay_s: float) -> None:
    """Serves a folder until the input ends."""
    store = ObjectStore(folder, delay_s)
    application = web.Application(client_max_size=_MAX_BODY_BYTES)
    application.router.add_route("*", "/{path:.*}", store.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    print(f"http://{host}:{port}", flush=True)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(ended.set)), daemon=True).start()
    await ended.wait()
    await runner.cleanup()


@contextmanager
def object_store(folder: Path, delay_ms: float = DELAY_MS) -> Iterator[dict[str, str]]:
    """Serves a folder from another process; yields the environment in which processes find it."""
    command = [sys.executable, "-m", "benchmarks.object_store", str(folder), "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        try:
            yield {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            }
        finally:
            assert server.stdin is not None
            server.stdin.close()
            server.wait(10)


def count_requests() -> Counter[str]:
    """Returns the requests by kind that a store has answered since the last time."""
    with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + _COUNTS, timeout=10) as response:
        return Counter(json.loads(response.read()))


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--delay-ms", type=float, default=DELAY_MS)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.folder, arguments.delay_ms / 1000))


if __name__ == "__main__":
    main()
