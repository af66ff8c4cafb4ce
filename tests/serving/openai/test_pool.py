"""Which endpoint takes the next request. Time passes when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from serving.openai.pool import Endpoint, EndpointPool
from serving.openai.settings import EndpointSettings


class World:
    """A pool of endpoints a, b, ... in an event loop whose clock is turned by hand."""

    def __init__(self, endpoints: str) -> None:
        self.now = 1000.0
        asyncio.get_running_loop().time = lambda: self.now  # type: ignore[method-assign]
        settings = EndpointSettings(
            kind="openai",
            model="m",
            endpoints=tuple(f"http://{name}/v1" for name in endpoints),
            concurrency_per_endpoint=2,
            backoff_s=10,
            max_backoff_s=25,
            timeout_s=50,
            max_outage_s=100,
        )
        self.on_exhausted: list[str] = []
        self.pool = EndpointPool(settings, self.on_exhausted.append)

    async def acquire(self, avoid: Endpoint | None = None) -> Endpoint:
        return await asyncio.wait_for(self.pool.acquire(avoid), None)

    def acquiring(self) -> asyncio.Task[Endpoint]:
        return asyncio.ensure_future(self.pool.acquire())

    async def pass_time(self, seconds: float) -> None:
        self.now += seconds
        await settled()

    def fail(self, endpoint: Endpoint, wait_s: float = 0.0) -> None:
        self.pool.record_failure(endpoint, "planted", wait_s)


async def settled() -> None:
    """Let all that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


def in_world(endpoints: str) -> Callable[[Callable[[World], Awaitable[None]]], Callable[[], None]]:
    """Makes a test of an async function of a world."""

    def make(play: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
        async def run() -> None:
            await play(World(endpoints))

        def test() -> None:
            asyncio.run(run())

        return test

    return make


@in_world("ab")
async def test_the_one_with_the_fewest_in_flight_is_next(world: World) -> None:
    a, b = await world.acquire(), await world.acquire()
    assert (a.url, b.url) == ("http://a/v1", "http://b/v1")
    world.pool.release(b)
    assert await world.acquire() is b
    world.pool.release(a)
    world.pool.release(b)
    assert await world.acquire() is a  # of equals, the one that has waited longest
    assert await world.acquire(avoid=b) is a
    assert await world.acquire(avoid=b) is b  # the other is full


@in_world("a")
async def test_who_finds_no_room_waits_in_order(world: World) -> None:
    a = await world.acquire()
    await world.acquire()
    first, second, third = world.acquiring(), world.acquiring(), world.acquiring()
    await settled()
    assert not first.done()
    world.pool.release(a)
    await settled()
    assert first.done() and not second.done()
    world.pool.release(a)  # it would be the second's turn, but that has left
    second.cancel()
    await settled()
    assert third.done() and second.cancelled()


@in_world("a")
async def test_a_turn_that_came_too_late_passes_on(world: World) -> None:
    a = await world.acquire()
    await world.acquire()
    first, second = world.acquiring(), world.acquiring()
    await settled()
    world.pool.release(a)
    first.cancel()  # its turn has come, but it has not run yet
    await settled()
    assert first.cancelled() and second.done()


@in_world("a")
async def test_who_is_overtaken_keeps_its_place(world: World) -> None:
    a = await world.acquire()
    await world.acquire()
    first, second = world.acquiring(), world.acquiring()
    await settled()
    world.pool.release(a)
    await world.acquire()  # before the first, whose turn has come, can run
    await settled()
    assert not first.done()
    world.pool.release(a)
    await settled()
    assert first.done() and not second.done()
    second.cancel()


@in_world("ab")
async def test_three_failures_in_a_row_and_it_rests_a_growing_time(world: World) -> None:
    a = await world.acquire()
    for _ in range(3):
        assert world.pool.failing is False
        world.fail(a)
    world.pool.release(a)
    b = [await world.acquire(), await world.acquire()]
    assert {each.url for each in b} == {"http://b/v1"}
    for rest_s in (10, 20, 25, 25):
        waiting = world.acquiring()
        await world.pass_time(rest_s - 0.5)
        assert not waiting.done()
        await world.pass_time(0.5)
        assert waiting.done() and waiting.result() is a
        beside = world.acquiring()  # to see whether it is well, one request is enough
        await settled()
        assert not beside.done()
        beside.cancel()
        world.fail(a)
        world.pool.release(a)
    world.pool.record_success(a)
    assert await world.acquire() is a and await world.acquire() is a


@in_world("ab")
async def test_a_success_in_between_forgives(world: World) -> None:
    a = await world.acquire()
    for _ in range(5):
        world.fail(a)
        world.fail(a)
        world.pool.record_success(a)
    assert await world.acquire(avoid=a) is not a
    assert a.free_slots(world.now, 2) == 1


@in_world("a")
async def test_it_is_left_alone_as_long_as_it_asks(world: World) -> None:
    a = await world.acquire()
    world.fail(a, wait_s=40)
    world.pool.record_success(a)  # another request of the same endpoint: no reason to press on
    world.pool.release(a)
    first, second = world.acquiring(), world.acquiring()
    await world.pass_time(39)
    assert not first.done()
    await world.pass_time(1)
    assert first.done() and second.done()


@in_world("ab")
async def test_it_gives_up_when_none_has_answered_for_long(world: World) -> None:
    a, b = await world.acquire(), await world.acquire()
    world.fail(a)
    await world.pass_time(60)
    world.fail(b)
    await world.pass_time(99)
    assert world.pool.failing and not world.on_exhausted
    await world.pass_time(1)
    (said,) = world.on_exhausted
    assert "for 100 s: http://a/v1: planted; http://b/v1: planted." in said


@in_world("ab")
async def test_an_answer_or_a_new_start_stops_that_clock(world: World) -> None:
    a, b = await world.acquire(), await world.acquire()
    for relief in (lambda: world.pool.record_success(b), world.pool.reset):
        world.fail(a)
        world.fail(b)
        await world.pass_time(99)
        relief()
        await world.pass_time(99)
        assert not world.pool.failing and not world.on_exhausted
