import asyncio
import threading

import pytest

from pipelines.fetch import FetchSettings, fetch
from pipelines.fetch.fetcher import HostQueue
from tests.helpers.cases import cases
from tests.helpers.delays import server_takes


def redirect(server, path, to, status="302 Found", **headers):
    server.answer(path, status=status, Location=to, **headers)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_followed(server, get, status):
    redirect(server, "/from", "/to#part", status)
    server.answer("/to", b"here")
    result = get(server.url("/from"))
    assert (result.reason, result.body, result.attempts) == ("ok", b"here", 1)
    assert result.final_url == server.url("/to")


@cases(
    ("location", "reason"),
    [
        ("http://127.0.0.1:1/", "private_address"),
        ("http://169.254.169.254/latest/meta-data", "private_address"),
        ("//10.0.0.1/a.jpg", "private_address"),
        ("http://2130706433/", "private_address"),
        ("http://0x7f.1/", "private_address"),
        ("http://0/", "private_address"),
        ("http://[::1]/", "private_address"),
        ("http://[::ffff:127.0.0.1]/", "private_address"),
        ("http://localhost:1/", "private_address"),
        ("file:///etc/passwd", "unsupported_scheme"),
        ("ftp://127.0.0.1/a", "unsupported_scheme"),
        ("data:image/png;base64,AAAA", "unsupported_scheme"),
        ("http://[::1", "bad_url"),
        ("http://host:99999/", "bad_url"),
    ],
)
def test_a_redirect_may_lead_only_where_a_url_may(server, get, location, reason):
    redirect(server, "/from", location)
    result = get(server.url("/from"), max_attempts=3)
    assert (result.reason, result.attempts, result.retryable) == (reason, 1, False)


def test_circles_and_long_ways_end(server, get):
    redirect(server, "/self", "/self")
    redirect(server, "/there", "/back")
    redirect(server, "/back", "/there")
    for number in range(5):
        redirect(server, f"/{number}", f"/{number + 1}")
    server.answer("/5", b"arrived")
    assert get(server.url("/self")).reason == "redirect_loop"
    assert get(server.url("/there")).reason == "redirect_loop"
    assert get(server.url("/0"), max_redirects=4).reason == "too_many_redirects"
    assert get(server.url("/0"), max_redirects=5).body == b"arrived"
    assert get(server.url("/4"), max_redirects=0).reason == "too_many_redirects"


def test_a_redirect_to_nowhere_is_a_status(server, get):
    server.answer("/a", status="302 Found")
    assert get(server.url("/a")).reason == "http_302"


def test_an_opt_out_on_the_way_counts(server, get):
    redirect(server, "/from", "/to", X_Robots_Tag="noai")
    assert get(server.url("/from")).reason == "opted_out"
    assert server.counts["/to"] == 0


def test_all_redirects_of_an_attempt_share_its_deadline(server, get):
    async def slow(writer, nth, head):
        await server_takes(0.08)
        where = int(head.split(" ")[1][1:]) + 1
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: /{where}\r\nContent-Length: 0\r\n\r\n".encode())
        return True

    for number in range(50):
        server.routes[f"/{number}"] = slow
    result = get(server.url("/0"), total_timeout_s=0.3, max_redirects=100)
    assert result.reason == "timeout"
    assert sum(server.counts.values()) < 10


@cases(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "unsupported_scheme"),
        ("ftp://example.com/a.jpg", "unsupported_scheme"),
        ("javascript:alert(1)", "unsupported_scheme"),
        ("", "bad_url"),
        ("   ", "bad_url"),
        ("example.com/a.jpg", "bad_url"),
        ("//example.com/a.jpg", "bad_url"),
        ("http://", "bad_url"),
        ("http:///a.jpg", "bad_url"),
        ("http://[::1", "bad_url"),
        ("http://host:port/", "bad_url"),
        ("http://127.0.0.1/", "private_address"),
        ("http://10.0.0.1/", "private_address"),
        ("http://[fd00::1]/", "private_address"),
        ("http://0.0.0.0:22/", "private_address"),
        ("http://017700000001/", "private_address"),
        ("http://user:word@127.0.0.1/", "private_address"),
    ],
)
def test_urls_that_are_not_asked(get, url, reason):
    result = get(url, max_attempts=3)
    assert (result.reason, result.attempts) == (reason, 1)


def test_a_bad_row_among_good_ones_costs_only_itself(server, settings, fetch_all):
    server.answer("/a", b"fine")
    urls = [server.url("/a"), None, "http://[", server.url("/missing"), server.url("/a")]
    results = fetch_all(urls, settings())
    assert [result.reason for result in results] == ["ok", "bad_url", "bad_url", "http_404", "ok"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_transient_status_is_tried_again(server, get, response_bytes, status):
    async def recovering(writer, nth, head):
        writer.write(response_bytes(f"{status} Later" if nth < 3 else "200 OK", {"Content-Length": 2}, b"ok"))
        return True

    server.routes["/a"] = recovering
    result = get(server.url("/a"), max_attempts=3)
    assert (result.reason, result.attempts, server.counts["/a"]) == ("ok", 3, 3)
    server.counts.clear()
    result = get(server.url("/a"), max_attempts=2)
    assert (result.reason, result.attempts, server.counts["/a"]) == (f"http_{status}", 2, 2)
    assert result.retryable


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451, 501])
def test_a_final_status_is_not(server, get, status):
    server.answer("/a", status=f"{status} No")
    assert get(server.url("/a"), max_attempts=3).attempts == 1
    assert server.counts["/a"] == 1


def test_a_lost_connection_is_tried_again_and_every_request_counts_as_an_attempt(server, get):
    server.raw("/lost", b"")
    server.raw("/short", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!")
    for path, reason in [("/lost", "connection_reset"), ("/short", "truncated")]:
        result = get(server.url(path), max_attempts=3)
        assert (result.reason, result.attempts, server.counts[path]) == (reason, 3, 3)


def test_a_redirect_is_walked_again_from_its_start(server, get, response_bytes):
    async def recovering(writer, nth, head):
        writer.write(response_bytes("503 Later" if nth == 1 else "200 OK", {"Content-Length": 2}, b"ok"))
        return True

    redirect(server, "/from", "/to")
    server.routes["/to"] = recovering
    result = get(server.url("/from"), max_attempts=2)
    assert (result.reason, result.attempts) == ("ok", 2)
    assert server.counts == {"/from": 2, "/to": 2}


def test_retry_after_is_heeded_or_the_url_given_up(server, get):
    server.answer("/long", status="429 Slow", Retry_After="3600")
    server.answer("/short", status="429 Slow", Retry_After="0")
    assert (get(server.url("/long"), max_attempts=3).reason, server.counts["/long"]) == ("http_429", 1)
    assert (get(server.url("/short"), max_attempts=3).reason, server.counts["/short"]) == ("http_429", 3)


def test_a_url_that_waits_for_its_next_attempt_holds_nobody_up(server, settings, fetch_all, response_bytes):
    order = []

    async def recovering(writer, nth, head):
        order.append("first")
        writer.write(response_bytes("503 Later" if nth == 1 else "200 OK", {"Content-Length": 2}, b"ok"))
        return True

    async def steady(writer, nth, head):
        order.append("second")
        writer.write(response_bytes("200 OK", {"Content-Length": 2}, b"ok"))
        return True

    server.routes |= {"/first": recovering, "/second": steady}
    results = fetch_all(
        [server.url("/first"), server.url("/second")], settings(max_attempts=2, concurrency=1, concurrency_per_host=1)
    )
    assert [result.reason for result in results] == ["ok", "ok"]
    assert order == ["first", "second", "first"]


@pytest.mark.parametrize("limit", [{"concurrency_per_host": 3}, {"concurrency": 3}])
def test_no_more_at_once_than_allowed(server, settings, fetch_all, response_bytes, limit):
    now, most = 0, 0

    async def counting(writer, nth, head):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await server_takes(0.005)
        now -= 1
        writer.write(response_bytes("200 OK", {"Content-Length": 2}, b"ok"))
        return True

    server.routes["/a"] = counting
    results = fetch_all([server.url("/a")] * 30, settings(**limit))
    assert {result.reason for result in results} == {"ok"}
    assert most == 3
    assert server.connections <= 3


def test_a_busy_host_does_not_keep_others_waiting(server, settings, fetch_all, response_bytes):
    """The busy host answers only once the other one was asked, which stands last in the list."""
    asked = asyncio.Event()

    async def busy(writer, nth, head):
        await asked.wait()
        writer.write(response_bytes("200 OK", {"Content-Length": 2}, b"ok"))
        return True

    async def other(writer, nth, head):
        asked.set()
        writer.write(response_bytes("200 OK", {"Content-Length": 2}, b"ok"))
        return True

    server.routes |= {"/busy": busy, "/other": other}
    urls = [server.url("/busy")] * 10 + [f"http://localhost:{server.port}/other"]
    results = fetch_all(urls, settings(concurrency=3, concurrency_per_host=2))
    assert {result.reason for result in results} == {"ok"}


def test_processing_runs_in_threads_and_its_results_reach_the_sink_in_this_one(server, settings):
    server.answer("/a", b"body")
    workers, sinks, lengths = set(), set(), []

    def process(fetched):
        workers.add(threading.current_thread())
        return len(fetched.body)

    def sink(length):
        sinks.add(threading.current_thread())
        lengths.append(length)

    fetch([server.url("/a")] * 20, settings(), sink, process=process, threads=2)
    assert lengths == [4] * 20
    assert sinks == {threading.current_thread()}
    assert threading.current_thread() not in workers
    assert len(workers) <= 2


@pytest.mark.parametrize("where", ["sink", "process"])
def test_a_mistake_of_ours_is_raised_and_ends_the_run(server, settings, where):
    async def for_ever(writer, nth, head):
        await asyncio.Event().wait()

    def mistake(_):
        raise ZeroDivisionError

    server.answer("/a", b"body")
    server.routes["/b"] = for_ever
    urls = [server.url("/b"), server.url("/a")]
    with pytest.raises(ZeroDivisionError):
        if where == "sink":
            fetch(urls, settings(), mistake)
        else:
            fetch(urls, settings(), print, process=mistake)


def test_nothing_to_do():
    found = []
    fetch([], FetchSettings(), found.append)
    assert found == []


def test_a_connection_is_kept_while_its_host_has_work_and_then_closed(server, settings, fetch_all):
    server.answer("/a", b"body")
    results = fetch_all([server.url("/a")] * 50, settings(concurrency=1))
    assert {result.reason for result in results} == {"ok"}
    assert server.connections == 1
    assert ["Connection: close" in head for head in server.heads] == [False] * 49 + [True]


def test_one_host_gets_no_more_workers_than_its_limit_and_the_rest_go_elsewhere():
    async def scenario():
        queue = HostQueue(concurrency_per_host=2)
        for number in range(5):
            queue.put("busy", number)
        queue.put("other", 5)
        return [(await queue.acquire()).name for _ in range(3)]

    assert asyncio.run(scenario()) == ["busy", "busy", "other"]


def test_a_job_put_first_is_next_and_the_host_is_forgotten_when_it_is_worked_off():
    async def scenario():
        queue = HostQueue(concurrency_per_host=1)
        queue.put("host", "late")
        queue.put("host", "soon", first=True)
        host = await queue.acquire()
        order = [host.pending.popleft() for _ in range(2)]
        queue.release(host)
        queue.put("host", "again")
        return order, await queue.acquire() is host

    assert asyncio.run(scenario()) == (["soon", "late"], False)


def test_a_worker_that_comes_too_late_finds_nothing_and_the_host_stays_open():
    async def scenario():
        queue = HostQueue(concurrency_per_host=2)
        queue.put("host", 1)
        queue.put("host", 2)
        first, second = await queue.acquire(), await queue.acquire()
        assert first is second
        first.pending.clear()
        queue.release(first)
        queue.put("host", 3)
        assert list((await queue.acquire()).pending) == [3]
        queue.close(2)
        return await queue.acquire(), await queue.acquire()

    assert asyncio.run(scenario()) == (None, None)
