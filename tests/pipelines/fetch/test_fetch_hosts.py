import asyncio

from pipelines.fetch.hosts import HostQueue


def test_one_host_gets_no_more_workers_than_its_limit_and_the_rest_go_elsewhere():
    async def scenario():
        queue = HostQueue(per_host=2)
        for number in range(5):
            queue.put("busy", number)
        queue.put("other", 5)
        return [(await queue.take()).name for _ in range(3)]

    assert asyncio.run(scenario()) == ["busy", "busy", "other"]


def test_a_job_put_first_is_next_and_the_host_is_forgotten_when_it_is_worked_off():
    async def scenario():
        queue = HostQueue(per_host=1)
        queue.put("host", "late")
        queue.put("host", "soon", first=True)
        host = await queue.take()
        order = [host.pending.popleft() for _ in range(2)]
        queue.leave(host)
        queue.put("host", "again")
        return order, await queue.take() is host

    assert asyncio.run(scenario()) == (["soon", "late"], False)


def test_a_worker_that_comes_too_late_finds_nothing_and_the_host_stays_open():
    async def scenario():
        queue = HostQueue(per_host=2)
        queue.put("host", 1)
        queue.put("host", 2)
        first, second = await queue.take(), await queue.take()
        assert first is second
        first.pending.clear()
        queue.leave(first)
        queue.put("host", 3)
        assert list((await queue.take()).pending) == [3]
        queue.close(2)
        return await queue.take(), await queue.take()

    assert asyncio.run(scenario()) == (None, None)
