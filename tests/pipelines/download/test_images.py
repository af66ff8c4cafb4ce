"""The stage `download` over a real server: what each URL comes to, and what lies in the media tar."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from corpus.image.header import sniff
from corpus.media import MediaWriter, read_contents
from corpus.schema import item_id, table_schema
from corpus.storage import Store
from corpus.tars import index_tar
from corpus.workspace import Workspace
from pipelines.download.images import (
    ITEMS_SCHEMA,
    Download,
    DownloadSettings,
    ReencodeSettings,
    items_table,
    open_download,
    store_image,
)
from tests.helpers.downloading import ROTATED, Site, run_stage, settings, site


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as running:
        yield running


def rows(workspace: Workspace, path: str) -> list[dict[str, Any]]:
    return workspace.read_table(path).to_pylist()


def test_every_url_ends_with_a_status_and_a_reason(web: Site, tmp_path: Path) -> None:
    ends = {
        "images/a.jpg": ("kept", ""),
        "redirect/b.png": ("kept", ""),
        "unlabelled/c.webp": ("kept", ""),
        "status/404/a.jpg": ("failed", "http_404"),
        "status/503/a.jpg": ("failed", "http_503"),
        "loop/a/a.jpg": ("failed", "redirect_loop"),
        "elsewhere/private/a.jpg": ("failed", "private_address"),
        "elsewhere/inside/a.jpg": ("failed", "private_address"),
        "elsewhere/file/a.jpg": ("failed", "unsupported_scheme"),
        "stall/a.jpg": ("failed", "timeout"),
        "endless/a.jpg": ("failed", "too_large"),
        "short/a.jpg": ("failed", "truncated"),
        "reset/first/a.jpg": ("failed", "connection_reset"),
        "robots/noai/a.jpg": ("filtered", "opted_out"),
        "html/a.jpg": ("failed", "not_an_image"),
        "empty/a.jpg": ("failed", "not_an_image"),
        "images/cut.jpg": ("failed", "truncated"),
        "images/bomb.png": ("failed", "too_many_pixels"),
        "file:///etc/passwd": ("failed", "unsupported_scheme"),
        "nothing:": ("failed", "unsupported_scheme"),
    }
    workspace = Workspace(tmp_path)
    outcome, path = run_stage(workspace, web.urls(list(ends)), settings(web))
    assert outcome.error == ""
    assert outcome.rows == len(ends) == sum(outcome.counts.values())
    assert workspace.read_table(path).schema == table_schema(ITEMS_SCHEMA)
    found = rows(workspace, path)
    assert {name: (row["status"], row["reason"]) for name, row in zip(ends, found, strict=True)} == ends
    assert [row["http_status"] for row in found[3:5]] == [404, 503]
    for row in found:
        location = [row[name] for name in ("item_id", "media", "offset", "size", "ext", "stored_sha256")]
        assert all(value is not None for value in location) == (row["status"] == "kept")


def test_stored_bytes_are_the_downloaded_ones_and_are_read_by_range(web: Site, store_url: str) -> None:
    workspace = Workspace(store_url)
    names = ["a.jpg", "b.png", "c.webp", "rotated.jpg"]
    _, path = run_stage(workspace, web.urls([f"images/{name}" for name in names]), settings(web))
    table = workspace.read_table(path)
    contents = dict(read_contents(workspace.store, table))
    found = table.to_pylist()
    for place, name in enumerate(names):
        data, row = web.images[name], found[place]
        assert contents[place] == data
        assert row["item_id"] == item_id(data)
        assert row["downloaded_sha256"] == row["stored_sha256"] == hashlib.sha256(data).digest()
        assert (row["downloaded_bytes"], row["size"]) == (len(data), len(data))
        assert (row["http_status"], row["attempts"], row["detail"]) == (200, 1, "")
        assert row["ext"] == name.split(".")[-1]
    assert [row["orientation"] for row in found] == [1, 1, 1, ROTATED]
    (tar,) = {row["media"] for row in found}
    members = index_tar(workspace.store, tar).members.column("name").to_pylist()
    assert sorted(members) == sorted(f"{row['item_id'].hex()}.{row['ext']}" for row in found)


def test_a_reencode_applies_the_orientation_and_keeps_both_digests(web: Site, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    chosen = settings(web, reencode={"longest_side_px": 12, "jpeg_quality": 95})
    urls = web.urls(["images/rotated.jpg", "images/b.png", "images/cut.jpg", "images/hollow.png"])
    _, path = run_stage(workspace, urls, chosen)
    table = workspace.read_table(path)
    turned, opaque, cut, hollow = table.to_pylist()
    contents = dict(read_contents(workspace.store, table.slice(0, 2)))
    image = Image.open(io.BytesIO(contents[0]))
    assert (image.format, image.size) == ("JPEG", (8, 12)), "upright, longest side 12"
    pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels[2, 4, 0] > 180 > 80 > pixels[2, 4, 2], "red above"
    assert pixels[9, 4, 2] > 180 > 80 > pixels[9, 4, 0], "blue below"
    assert (turned["orientation"], turned["ext"], opaque["ext"]) == (1, "jpg", "jpg")
    assert turned["downloaded_sha256"] == hashlib.sha256(web.images["rotated.jpg"]).digest()
    assert turned["stored_sha256"] == hashlib.sha256(contents[0]).digest() != turned["downloaded_sha256"]
    assert turned["item_id"] == item_id(contents[0])
    assert turned["downloaded_bytes"] == len(web.images["rotated.jpg"]) != turned["size"] == len(contents[0])
    assert (cut["reason"], hollow["reason"]) == ("truncated", "undecodable")
    assert hollow["detail"]


def test_a_url_that_comes_twice_is_fetched_once(web: Site, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    web.serving.reset()
    urls = web.urls(["images/a.jpg", "status/404/x", "images/a.jpg", "redirect/a.jpg", "status/404/x"])
    _, path = run_stage(workspace, urls, settings(web))
    first, gone, second, same_bytes, gone_too = rows(workspace, path)
    assert first == second
    assert gone == gone_too
    assert first["item_id"] == same_bytes["item_id"]
    assert first["offset"] == same_bytes["offset"], "the same bytes lie there once"
    asked = web.serving.requests()
    assert asked == {"/images/a.jpg": 2, "/status/404/x": 1, "/redirect/a.jpg": 1}


def test_without_an_image_there_is_no_tar(web: Site, tmp_path: Path) -> None:
    outcome, _ = run_stage(Workspace(tmp_path), web.urls(["status/404/x"]), settings(web))
    assert outcome.counts == {"failed/http_404": 1}
    assert not (tmp_path / "media").exists()


def test_an_absent_url_is_a_bad_one(web: Site, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    outcome, _ = run_stage(workspace, [None, ""], settings(web))  # type: ignore[list-item]
    assert outcome.counts == {"failed/bad_url": 2}


def test_the_backend_is_chosen_by_the_settings_and_part_of_the_fingerprint() -> None:
    own, other = DownloadSettings(), DownloadSettings(backend="img2dataset")
    assert type(open_download(own)) is Download
    assert type(open_download(other)) is not Download
    assert open_download(own).fingerprint_inputs() != open_download(other).fingerprint_inputs()
    assert open_download(own).name == open_download(other).name


def test_patience_is_not_part_of_the_fingerprint() -> None:
    patient = DownloadSettings.model_validate(
        {"fetch": {"total_timeout_s": 99, "max_attempts": 9}, "reencode_threads": 4}
    )
    assert Download(patient).fingerprint_inputs() == Download(DownloadSettings()).fingerprint_inputs()


def test_no_rows_are_a_table_too() -> None:
    assert items_table([]).schema == table_schema(ITEMS_SCHEMA)


def test_the_settings_of_images_are_fingerprinted_as_ever() -> None:
    """What is added for other media must not make tables of images stale."""
    assert DownloadSettings().canonical() == {
        "backend": "fetch",
        "fetch": {
            "user_agent_token": "rzen-corpus",
            "max_bytes": 10485760,
            "max_redirects": 8,
            "respect_opt_out": True,
        },
        "max_pixels": 50_000_000,
        "max_side_px": 30000,
        "reencode": None,
    }


def save(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def test_an_animation_stays_one_whatever_is_re_encoded(tmp_path: Path) -> None:
    """So that it is judged as one: its first frame alone would pass for a picture."""
    frames = [Image.effect_noise((80, 60), spread).convert("RGB") for spread in (40, 90)]
    settings = DownloadSettings.model_validate({"reencode": {"longest_side_px": 40}})
    for form in ("GIF", "WEBP", "PNG"):
        data = save(frames[0], form, save_all=True, append_images=frames[1:])
        media = MediaWriter(Store(tmp_path), f"media/{form}.tar")
        stored = store_image(data, settings, media, {})
        assert (stored.status, stored.size, stored.ext) == ("kept", len(data), form.lower())
        assert sniff(data).animated
        still = store_image(save(frames[0], form), settings, media, {})
        assert (still.status, still.ext) == ("kept", "jpg")
        media.abort()


def test_what_a_header_forbids_is_not_stored(tmp_path: Path) -> None:
    media = MediaWriter(Store(tmp_path), "media/a.tar")
    image = Image.effect_noise((90, 20), 40)
    settings = DownloadSettings(max_pixels=1801, max_side_px=80)
    cases = {
        "side_too_long": save(image, "PNG"),
        "too_many_pixels": save(image.resize((80, 50)), "PNG"),
        "unsupported_format": save(image, "JPEG2000"),
        "not_an_image": b"<!doctype html><html></html>",
        "truncated": save(image.resize((60, 20)), "PNG")[:-20],
    }
    assert {store_image(data, settings, media, {}).reason: name for name, data in cases.items()} == {
        n: n for n in cases
    }
    media.abort()


def test_whatever_a_decoder_raises_is_its_rows_reason_with_its_words(tmp_path: Path) -> None:
    """AVIF's raises RuntimeError."""
    good = save(Image.effect_noise((90, 60), 40).convert("RGB"), "AVIF", quality=50)
    start = good.index(b"mdat") + 4
    media = MediaWriter(Store(tmp_path), "media/a.tar")
    settings = DownloadSettings.model_validate({"reencode": {}})
    stored = store_image(good[:start] + bytes(60) + good[start + 60 :], settings, media, {})
    assert (stored.status, stored.reason) == ("failed", "undecodable")
    assert stored.detail.startswith("RuntimeError: ")
    media.abort()


def test_settings_of_a_re_encode_are_checked() -> None:
    assert ReencodeSettings().jpeg_quality == 90
    for wrong in ({"longest_side_px": 0}, {"longest_side_px": 70_000}, {"jpeg_quality": 0}, {"jpeg_quality": 101}):
        with pytest.raises(ValueError, match="should be"):
            ReencodeSettings.model_validate(wrong)
