import errno
import socket
import threading

import pytest

from pipelines.fetch import DnsCache, fetch


@pytest.fixture
def names(monkeypatch):
    """Name -> answers given one after the other (the last one for ever): addresses, or an error."""
    table, asked = {}, []
    real = socket.getaddrinfo

    def lookup(host, port, *args, **kwargs):
        if host not in table:
            return real(host, port, *args, **kwargs)
        asked.append(host)
        answers = table[host]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 0)) for ip in answer]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    lookup.table, lookup.asked = table, asked
    return lookup


@pytest.fixture
def page(server):
    server.answer("/a", b"here")
    return f"http://name.test:{server.port}/a"


def test_a_name_that_leads_inside_is_refused_and_never_connected_to(server, get, names, page):
    names.table["name.test"] = [["127.0.0.1"]]
    result = get(page, private_allowlist=())
    assert (result.reason, result.retryable) == ("private_address", False)
    assert "127.0.0.1" in result.detail
    assert server.connections == 0


def test_dns_cannot_change_between_check_and_connection(server, settings, fetch_all, names, page):
    """The first answer passes the check; a second lookup, which would be for connecting, would lead elsewhere."""
    names.table["name.test"] = [["127.0.0.1"], ["10.0.0.1"]]
    (first,) = fetch_all([page], settings())
    assert (first.reason, first.body) == ("ok", b"here")
    assert names.asked == ["name.test"]
    (second,) = fetch_all([page], settings())
    assert second.reason == "private_address"
    assert len(server.heads) == 1


def test_the_host_that_is_named_has_no_final_dot(server, settings, fetch_all, names):
    names.table["name.test."] = [["127.0.0.1"]]
    server.answer("/a", b"here")
    (result,) = fetch_all([f"http://name.test.:{server.port}/a"], settings())
    assert result.body == b"here"
    assert f"\r\nHost: name.test:{server.port}\r\n" in server.heads[0]


def test_only_permitted_addresses_of_a_name_are_used(get, names, page):
    names.table["name.test"] = [["10.0.0.1", "127.0.0.1", "fe80::1"]]
    assert get(page).reason == "ok"


def test_a_name_may_be_allowed_and_only_that_name(server, settings, fetch_all, names, page):
    names.table |= {"name.test": [["127.0.0.1"]], "evil.test": [["127.0.0.1"]]}
    allowed = settings(private_allowlist=(f"name.test:{server.port}",))
    results = fetch_all([page, page.replace("name", "evil"), server.url("/a")], allowed)
    assert [result.reason for result in results] == ["ok", "private_address", "private_address"]


def test_answers_are_kept_within_a_run_and_with_a_cache_between_runs(settings, fetch_all, names, page):
    names.table |= {"name.test": [["127.0.0.1"]], "gone.test": [socket.gaierror(socket.EAI_NONAME, "unknown")]}
    urls = [page] * 10 + ["http://gone.test/"] * 10
    cache = DnsCache()
    for _ in range(2):
        results = fetch_all(urls, settings(), dns=cache)
        assert {result.reason for result in results[:10]} == {"ok"}
        assert {result.reason for result in results[10:]} == {"dns_failed"}
    assert sorted(names.asked) == ["gone.test", "name.test"]


def test_answers_expire(settings, fetch_all, names, page):
    names.table |= {"name.test": [["127.0.0.1"]], "gone.test": [socket.gaierror(socket.EAI_NONAME, "unknown")]}
    cache = DnsCache()
    for _ in range(2):
        fetch_all([page, "http://gone.test/"], settings(dns_ttl_s=0, dns_negative_ttl_s=0), dns=cache)
    assert sorted(names.asked) == ["gone.test"] * 2 + ["name.test"] * 2


def test_a_name_that_does_not_exist_is_not_tried_again_in_the_run(get, names):
    names.table["gone.test"] = [socket.gaierror(socket.EAI_NONAME, "unknown")]
    result = get("http://gone.test/a", max_attempts=3)
    assert (result.reason, result.attempts, result.retryable) == ("dns_failed", 1, True)


def test_a_name_server_that_stumbles_is_asked_again(get, names, page, monkeypatch):
    monkeypatch.setattr("pipelines.fetch.dns._TIMEOUT_TTL_S", 0.0)
    names.table["name.test"] = [socket.gaierror(socket.EAI_AGAIN, "try again"), ["127.0.0.1"]]
    result = get(page, max_attempts=3)
    assert (result.reason, result.attempts) == ("ok", 2)


def test_a_lookup_that_hangs_has_its_own_deadline(get, monkeypatch):
    over = threading.Event()

    def hang(*args, **kwargs):
        over.wait(60)
        raise socket.gaierror(socket.EAI_NONAME, "too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    result = get("http://name.test/", dns_timeout_s=0.05)
    over.set()
    assert (result.reason, result.retryable) == ("dns_timeout", True)
    assert "0.05 s" in result.detail


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "." * 3, "xn--", "a..b"])
def test_names_that_cannot_be_looked_up(get, host):
    assert get(f"http://{host}/").reason in ("dns_failed", "dns_timeout", "bad_url")


def test_files_that_run_out_are_no_fault_of_a_name(settings, names, page):
    names.table["name.test"] = [OSError(errno.EMFILE, "Too many open files")]
    with pytest.raises(OSError, match="Too many"):
        fetch([page], settings(), print)
