"""What of a URL is written down, and what is published."""

from __future__ import annotations

import pyarrow as pa

from corpus.printable import printable
from corpus.urls import SIGNATURES, has_credentials, published_url, urls_without_credentials, without_credentials

# As a value of a column of URLs.
URLS = {
    "http://user:secret@host/a.jpg": "http://host/a.jpg",
    "HTTPS://user@host:81/a@b.jpg": "HTTPS://host:81/a@b.jpg",
    " \u3000http://us er:se cret@host/": " \u3000http://host/",
    "ht\ntp:/\t/user:se\ncret@host/": "http://host/",
    "ht\ntp:/\t/host/": "ht\ntp:/\t/host/",
    "http://a@b:c@host/": "http://host/",
    "http://user:secret@[::1]/?q=a@b": "http://[::1]/?q=a@b",
    "http://host/a@b": "http://host/a@b",
    "http://host/https://user:secret@b/": "http://host/https://user:secret@b/",  # a path, which is requested as it is
    "http://host?a@b": "http://host?a@b",
    "http://host#a@b": "http://host#a@b",
    "s3://key:secret@bucket/x@y": "s3://bucket/x@y",
    "sftp://me:secret@host/x": "sftp://host/x",
    "abfs://container@account.example/x": "abfs://container@account.example/x",  # a place, no credential
    "simplecache::https://user:secret@host/x": "simplecache::https://host/x",
    "zip://a.csv::ftp://user:secret@host/x": "zip://a.csv::ftp://host/x",
    "/data/a@b.mp4": "/data/a@b.mp4",
    "mailto:me@host": "mailto:me@host",
    "": "",
}


def test_credentials_are_taken_off_a_column_and_counted() -> None:
    given = [*URLS, None]
    wanted = [*URLS.values(), None]
    changed = sum(ours != theirs for ours, theirs in URLS.items())
    for column in (pa.array(given), pa.chunked_array([given[:3], given[3:]]), pa.array(given, pa.large_string())):
        cleaned, count = urls_without_credentials(column)
        assert (cleaned.to_pylist(), count) == (wanted, changed)
        assert cleaned.type == column.type
    untouched, count = urls_without_credentials(pa.array(["http://host/a@b", None]))
    assert (untouched.to_pylist(), count) == (["http://host/a@b", None], 0)
    assert urls_without_credentials(pa.array([], pa.string()))[1] == 0


def test_and_off_the_urls_in_a_message() -> None:
    cases = {
        "GET http://user:secret@host/a?b failed": "GET http://host/a?b failed",
        "s3://key:secret@bucket and ftp://me:pw@host/": "s3://bucket and ftp://host/",
        "http://me@host, abfs://container@account/x, me@host": "http://host, abfs://container@account/x, me@host",
        "http://host/a b@c": "http://host/a b@c",
        "no URL: a:b@c": "no URL: a:b@c",
        '{"at":"s3://b","to":"a@b"}': '{"at":"s3://b","to":"a@b"}',
        "<http://a:b@host>;<c@d>": "<http://host>;<c@d>",
    }
    assert {text: without_credentials(text) for text in cases} == cases
    assert [has_credentials(text) for text in cases] == [True, True, True, False, False, False, True]
    assert printable("x" * 150 + " http://user:" + "secret" * 20 + "@host/") == "x" * 150 + " http://host/"


def test_long_text_takes_no_time_that_grows_with_its_square() -> None:
    for text in ("a" * 10**6, "://" * 10**5 + "@", "http://" + ":" * 10**6, "://a" * 10**5 + "@"):
        assert without_credentials(text) in (text, text.replace("://@", "://"), "http://@")
        urls, _ = urls_without_credentials(pa.array([text + "@", " " * 10**5 + text]))
        assert len(urls) == 2


S3 = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2Fs3&X-Amz-Expires=60&X-Amz-Signature=0f"
AZURE = "sv=2024-01-01&ss=b&srt=o&sp=r&se=2026-01-01T00%3A00Z&st=2025-01-01&spr=https&sig=a%2Fb%3D"


def test_a_published_url_has_no_signature() -> None:
    cases = {
        f"https://b.example/k%2Fy.jpg?{S3}": "https://b.example/k%2Fy.jpg",
        f"https://b.example/a.jpg?w=1&{S3}&h=%7E2#part": "https://b.example/a.jpg?w=1&h=%7E2#part",
        "https://b.example/a.jpg?x-amz-signature=1&x%2DAmz%2DDate=2": "https://b.example/a.jpg",
        "https://c.example/a?Policy=eyJ_&Signature=ab~-&Key-Pair-Id=K2": "https://c.example/a",
        "https://c.example/a?size=3&Expires=1&Signature=ab&Key-Pair-Id=K2": "https://c.example/a?size=3",
        "https://g.example/a?GoogleAccessId=me%40x&Expires=1&Signature=a": "https://g.example/a",
        "https://g.example/a?X-Goog-Credential=a&X-Goog-Signature=b": "https://g.example/a",
        f"https://z.example/a?{AZURE}&comp=x": "https://z.example/a?comp=x",
        "https://f.example/v0/b/x?alt=media&token=1-2": "https://f.example/v0/b/x?alt=media",
        "https://h.example/a?access_token": "https://h.example/a",
        "http://user:secret@host/a?api_key=1": "http://host/a",
        # Not signed: the same names mean something else.
        "https://d.example/chart?st=1&se=2&sp=3&Expires=never&Policy=x": (
            "https://d.example/chart?st=1&se=2&sp=3&Expires=never&Policy=x"
        ),
        "https://d.example/a?sigma=1&tokens=2&mytoken=3": "https://d.example/a?sigma=1&tokens=2&mytoken=3",
        "https://d.example/X-Amz-Signature=1": "https://d.example/X-Amz-Signature=1",
        "https://d.example/a?": "https://d.example/a?",
        " https://d.example/a?token=1\n": "https://d.example/a",
        "https://d.example/a?&&b=%2f&c": "https://d.example/a?&&b=%2f&c",
        "/data/film.mp4": "/data/film.mp4",
        "": "",
    }
    assert {url: published_url(url) for url in cases} == cases


def test_which_parameters_they_are_is_the_callers_to_say() -> None:
    url = "https://a.example/x?s[0]=1&sx=2&s?=3&Key=4&k=5"
    assert published_url(url, ()) == url
    assert published_url(url, ("s[0]",)) == "https://a.example/x?sx=2&s?=3&Key=4&k=5"
    assert published_url(url, ("s?",)) == "https://a.example/x?s[0]=1&sx=2&Key=4&k=5"
    assert published_url(url, ("KEY s*",)) == "https://a.example/x?k=5"
    assert published_url(url, ("absent s*",)) == url
    assert published_url("http://user:secret@host/?token=1", ()) == "http://host/?token=1"
    assert published_url(f"https://a.example/?{S3}", [*SIGNATURES, "w"]) == "https://a.example/"
