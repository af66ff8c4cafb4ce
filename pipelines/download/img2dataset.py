"""Stage `download` with the backend `img2dataset`: that library does the asking, this project the rest.

For those who trust it, and their URLs. What it does not do, and the own fetcher does:

- It connects to whatever address a name leads to, before and after redirects: `private_allowlist` and its rules are not
  looked at. Only the scheme of the first URL is checked here, for it would also read file:// and ftp://.
- A body is read to its end into memory: `max_bytes` is applied afterwards. Compressed bodies are not unpacked.
- `read_timeout_s` is the longest silence; nothing bounds a single download, so a server that drips holds its thread.
  Therefore the whole call has a deadline, after which it is killed, and rows that were not done have failed with
  `timeout`. Other failures of such a call are not known either, for img2dataset writes them last: retry them.
- `trust_env` is not regarded: it always uses the proxies of the environment.
- `max_attempts` are made at once, one after the other, also for 404 and for opt-outs. `concurrency_per_host`,
  Retry-After, backoff and `contact` are not regarded; `http_status` is known of failures only, `attempts` never.
- A redirect to a URL with letters beyond ASCII is a `bad_url`.
- Its user agent calls itself a browser, compatible with `user_agent_token`.

Images are stored as they come and re-encoded here, as the settings say: img2dataset's own re-encode drops the EXIF
orientation without applying it.
"""

from __future__ import annotations

import importlib.util
import json
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.bisection import ShardError
from corpus.journal import Journal
from corpus.media import MediaWriter
from corpus.processes import run_bounded
from corpus.schema import Status
from corpus.stage import Shard
from corpus.tars import TarReader
from pipelines.download import img2dataset_worker
from pipelines.download.images import Download, DownloadSettings, Stored, store_image
from pipelines.download.img2dataset_index import failed_row
from pipelines.fetch.headers import OPT_OUTS
from pipelines.fetch.response import FetchError
from pipelines.fetch.url import parse_url

_START_S = 60.0  # for its processes to start, and to write what they have
_ENVIRONMENT = {"NO_ALBUMENTATIONS_UPDATE": "1"}  # for a library of its own that asks for new versions
_LOG_TAIL = 500  # characters of what it printed that an error shows


class Img2datasetDownload(Download):
    """Fetches a shard's URLs with img2dataset, in a process of its own."""

    caution = (
        "stages.download.backend img2dataset has no rules for addresses: a listed URL, a redirect or DNS may lead it "
        "into this machine's own network. Use it only for URLs that you trust"
    )

    journal_schema = None  # it says what it did of a shard when it has done all of it

    def setup(self) -> Callable[[Shard], pa.Table]:
        if importlib.util.find_spec("img2dataset") is None:
            raise ImportError("download.backend img2dataset is an extra: pip install 'rzen-corpus[img2dataset]'")
        return super().setup()

    def download(self, urls: list[str], media: MediaWriter, journal: Journal | None = None) -> list[Stored]:
        """Returns the item of each URL; images are in `media` then."""
        settings = self._settings
        sent, reasons = zip(*map(sendable, urls), strict=True)
        stored = [Stored(Status.FAILED, reason) for reason in reasons]
        requested = [row for row, reason in enumerate(reasons) if not reason]
        if not requested:
            return stored
        with tempfile.TemporaryDirectory(prefix="rzen-corpus-img2dataset-") as name:
            folder = Path(name)
            finished = ask([sent[row] for row in requested], folder, settings)
            for place, outcome in enumerate(outcomes(folder, len(requested), finished)):
                stored[requested[place]] = outcome
            for place, data in downloaded_images(folder):
                if len(data) > settings.fetch.max_bytes:
                    stored[requested[place]] = Stored(Status.FAILED, "too_large", downloaded_bytes=len(data))
                else:
                    stored[requested[place]] = store_image(data, settings, media, {})
        return stored


def sendable(text: str) -> tuple[str, str]:
    """Returns a URL in ASCII, as img2dataset needs it, and the reason why it cannot be sent ("" if it can)."""
    try:
        return str(parse_url(text)), ""
    except FetchError as error:
        return "", error.reason


def deadline_s(urls: int, settings: DownloadSettings) -> float:
    """Returns after how many seconds a call for so many URLs is killed: each thread's share of them,
    all attempts in full.
    """
    rounds = math.ceil(urls / settings.fetch.concurrency)
    return _START_S + rounds * settings.fetch.max_attempts * settings.fetch.total_timeout_s


def ask(urls: list[str], folder: Path, settings: DownloadSettings) -> bool:
    """Lets img2dataset download the URLs into one tar in `folder`; returns whether it ended before the deadline.

    Raises ShardError where it fails as a whole.
    """
    pq.write_table(pa.table({"url": urls, "row": pa.array(range(len(urls)), pa.int64())}), folder / "urls.parquet")
    program = [img2dataset_worker.__file__, json.dumps(arguments(len(urls), folder, settings))]
    log = folder / "log"
    code = run_bounded(program, log, deadline_s(len(urls), settings), _ENVIRONMENT)
    # When its worker fails, its own exit code is 0 all the same; what counts is what lies there.
    pattern = "*.tar" if code is None else "*_stats.json"
    if code or not list((folder / "out").glob(pattern)):
        output = log.read_text(encoding="utf-8", errors="replace").strip()
        how = "was killed at its deadline before it began" if code is None else f"failed (exit code {code})"
        raise ShardError(f"img2dataset {how}: {output[-_LOG_TAIL:]}")
    return code is not None


def arguments(urls: int, folder: Path, settings: DownloadSettings) -> dict[str, Any]:
    """Returns the keyword arguments of `img2dataset.download`."""
    fetch = settings.fetch
    return {
        "url_list": str(folder / "urls.parquet"),
        "input_format": "parquet",
        "save_additional_columns": ["row"],
        "output_folder": str(folder / "out"),
        "output_format": "webdataset",
        "number_sample_per_shard": urls,
        "processes_count": 1,  # the engine runs as many of these as there is room for
        "thread_count": min(fetch.concurrency, urls),
        "timeout": fetch.read_timeout_s,
        "retries": fetch.max_attempts - 1,
        "max_shard_retry": 0,
        "disable_all_reencoding": True,
        "extract_exif": False,
        "compute_hash": None,
        "user_agent_token": fetch.user_agent_token,
        "disallowed_header_directives": sorted(OPT_OUTS) if fetch.respect_opt_out else [],
        "enable_wandb": False,
    }


def outcomes(folder: Path, urls: int, finished: bool) -> list[Stored]:
    """Returns what img2dataset reports of each URL that gave no image."""
    unsaid = Stored(Status.FAILED, "download_failed") if finished else Stored(Status.FAILED, "timeout")
    found = [unsaid] * urls
    if finished:  # the end of the file is written last
        for path in (folder / "out").glob("*.parquet"):
            for entry in pq.read_table(path, columns=["row", "status", "error_message"]).to_pylist():
                if entry["status"] != "success":
                    found[entry["row"]] = failed_row(entry["status"], entry["error_message"])
    return found


def downloaded_images(folder: Path) -> Iterator[tuple[int, bytes]]:
    """Yields (row, bytes) of each image; of a tar that was cut off, those that are complete."""
    for path in (folder / "out").glob("*.tar"):
        data = b""
        with path.open("rb") as file:
            tar = TarReader(file, path.stat().st_size)
            for member in tar:
                content = b"" if member.fault else tar.content(member)
                if member.name.endswith(".json") and content:  # comes after its image
                    yield json.loads(content)["row"], data
                data = content
