"""Orders a dataset with groups: the members of a group lie together in short runs, among many other groups.

The clips of one video are each other's hard negatives, so a batch holds several of them. Batches that consist of a few
whole groups teach worse than shuffled ones, so a large group is split into runs that are in different batches.

The order is divided into cells by the ends of batches and of shards, and each cell is filled exactly by whole runs: by
the next ones in a random order, of which the last few are chosen so that their sizes add up. Where no sizes do, a run
is cut in two. So shards are equal, and no pair is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from corpus.arrays import Ints, places_in_runs, ranges
from corpus.sampling import uniform

_MAX_RETURNED = 4  # runs that are taken out of a cell again, before one is cut


@dataclass(frozen=True)
class RunCounts:
    """Counts of how well the groups of an order lie in runs. All but `runs` are 0 where everything could be had."""

    runs: int  # members of a group that follow each other in a cell
    cut: int  # runs beyond the fewest that the groups can have
    crowded: int  # groups in a batch with more members than a run may have, counted for each batch
    joined: int  # ends of a batch or shard with members of one group on both sides

    def to_json(self) -> dict[str, int]:
        """Returns the counts as the manifest has them."""
        return asdict(self)

    def warnings(self, members: int) -> Iterator[str]:
        """Yields what could not be had. `members`: the most members of a run."""
        if self.cut:
            yield f"{self.cut:,} runs of groups are cut in two, to fill batches and shards exactly"
        if self.crowded:
            yield f"{self.crowded:,} times a batch has more than {members} members of a group: there are few batches"
        if self.joined:
            yield f"{self.joined:,} ends of batches or shards have members of one group on both sides"


def cell_stops(samples: int, batch_size: int, per_shard: int) -> Ints:
    """Returns where batches or shards end, ascending: int64[cells]. The last one is `samples`, if there are any."""
    stops = (np.arange(size, samples, size) for size in (batch_size, per_shard))
    return np.unique(np.concatenate([*stops, np.full(min(1, samples), samples)]).astype(np.int64))


def count_runs(group: npt.NDArray[np.integer], batch_size: int, per_shard: int, members: int) -> RunCounts:
    """Counts the runs of an order. `group`: int[n], the group of each sample in published order, -1 for none.

    `members`: the most members of a run.
    """
    code, starts, sizes = _runs(group, batch_size, per_shard)
    batches = -(-len(group) // batch_size)
    _, in_batch = np.unique(np.repeat(code * batches + starts // batch_size, sizes), return_counts=True)
    boundaries = cell_stops(len(group), batch_size, per_shard)[:-1]
    joined = (group[boundaries] >= 0) & (group[boundaries] == group[boundaries - 1])
    runs = int((-(-sizes // members)).sum())  # of longer ones that follow each other, each counts
    cut = int(_surplus(code, sizes, members)[1].sum())
    return RunCounts(runs, cut, int((in_batch > members).sum()), int(joined.sum()))


def torn_groups(group: npt.NDArray[np.integer], batch_size: int, per_shard: int, members: int) -> Ints:
    """Returns the groups that have more runs than they need, ascending. The parameters are those of `count_runs`."""
    code, _, sizes = _runs(group, batch_size, per_shard)
    codes, surplus = _surplus(code, sizes, members)
    return codes[surplus > 0]


def _runs(group: npt.NDArray[np.integer], batch_size: int, per_shard: int) -> tuple[Ints, Ints, Ints]:
    """Returns the group, the first sample and the size of each run, in order."""
    place = np.flatnonzero(group >= 0)
    code = group[place].astype(np.int64)
    new = np.ones(len(place), np.bool_)
    new[1:] = (np.diff(place) > 1) | (np.diff(code) != 0)
    new |= np.isin(place, cell_stops(len(group), batch_size, per_shard))
    first = np.flatnonzero(new)
    return code[first], place[first], np.diff(first, append=len(place))


def _surplus(code: Ints, sizes: Ints, members: int) -> tuple[Ints, Ints]:
    """Returns the groups of runs, and of each the number of its runs beyond the fewest that it can have."""
    codes, index = np.unique(code, return_inverse=True)
    runs, total = (np.bincount(index, each, len(codes)).astype(np.int64) for each in (-(-sizes // members), sizes))
    return codes, runs - -(-total // members)


def group_run_order(
    drawn: npt.NDArray[np.uint64],
    group: npt.NDArray[np.integer],
    batch_size: int,
    per_shard: int,
    members: int,
) -> Ints:
    """Orders pairs, of which groups lie side by side, into batches of `batch_size` and shards of `per_shard`: int64[n].

    `drawn`: the random number of each pair's group, or its own without a group. `group`: int[n], -1 for none. A group
    of more than `members` is split into runs of so many and a rest. They are spread evenly over the order, each in a
    batch of its own as long as there are as many batches.

    Holds some 200 bytes a run, and takes 5 to 12 s for a million pairs (measured on a busy machine).
    """
    first = np.flatnonzero((group < 0) | (np.diff(group, prepend=-1) != 0))
    sizes = np.diff(first, append=len(group))
    pieces = -(-sizes // members)
    number = places_in_runs(pieces)
    start = np.repeat(first, pieces) + number * members
    size = np.minimum(np.repeat(first + sizes, pieces) - start, members)
    position = (uniform(drawn[start]) + number / np.repeat(pieces, pieces)) % 1
    order = np.lexsort((start, position))
    several = np.where((pieces > 1) & (pieces <= -(-len(group) // batch_size)), group[first], -1)
    of_run = np.where(np.repeat(pieces, pieces) == 1, group[start], np.repeat(several, pieces))
    packer = _Packer(start[order], size[order], of_run[order], np.repeat(several, pieces)[order])
    stops = cell_stops(len(group), batch_size, per_shard)
    chosen = list(packer.fill(stops, batch_size))
    starts, lengths = np.array(chosen, np.int64).reshape(-1, 2).T
    return ranges(starts, lengths)


class _Untaken:
    """Iterates over runs in their order, without those that are taken."""

    def __init__(self, runs: Sequence[int], taken: bytearray) -> None:
        self._runs = runs
        self._taken = taken
        self._first = 0

    def advance(self) -> None:
        """Passes over taken runs for good: none of them may be given back."""
        while self._first < len(self._runs) and self._taken[self._runs[self._first]]:
            self._first += 1

    def __iter__(self) -> Iterator[int]:
        runs = (self._runs[at] for at in range(self._first, len(self._runs)))
        return (run for run in runs if not self._taken[run])


class _Packer:
    """Fills cells with runs. A run is a number, by which lists tell its start, its size and its group.

    `group`: -1 where any number of the group's runs may be in a batch. `several`: the group where it has several runs,
    each of which must be in another batch, else -1.
    """

    def __init__(self, start: Ints, size: Ints, group: Ints, several: Ints) -> None:
        self._start, self._size, self._group = (each.tolist() for each in (start, size, group))
        self._taken = bytearray(len(start))
        self._rests: list[int] = []  # of runs that were cut, which come first
        self._all = _Untaken(range(len(start)), self._taken)
        self._of_size = {
            int(each): _Untaken(np.flatnonzero(size == each).tolist(), self._taken) for each in np.unique(size)
        }
        self._runs_of: dict[int, list[int]] = {}
        for run in np.flatnonzero(several >= 0)[::-1].tolist():
            self._runs_of.setdefault(int(several[run]), []).append(run)
        self._waiting: dict[int, int] = {}  # runs of a group that are in no cell
        self._with_waiting: dict[int, list[int]] = {}
        for each, runs in self._runs_of.items():
            self._set_waiting(each, len(runs))
        self._used: set[int] = set()  # groups that have a run in the batch, or at the end of the cell before

    def fill(self, stops: Ints, batch_size: int) -> Iterator[tuple[int, int]]:
        """Yields the start and size of each run, cell after cell."""
        batches = -(-int(stops[-1]) // batch_size) if len(stops) else 0
        begin, batch, last = 0, -1, -1
        in_batch: set[int] = set()
        urgent: list[int] = []
        for end in stops.tolist():
            if begin // batch_size != batch:
                batch, in_batch = begin // batch_size, set()
                urgent = self._urgent(batches - batch)
            self._used = in_batch | {last}
            runs = self._cell(end - begin, urgent)
            in_batch |= {self._group[run] for run in runs}
            last, begin = self._group[runs[-1]], end
            yield from ((self._start[run], self._size[run]) for run in runs)

    def _urgent(self, batches: int) -> list[int]:
        """Returns the groups with as many runs as there are batches left: each of these needs one."""
        return [group for group in self._with_waiting.pop(batches, []) if self._waiting[group] == batches]

    def _cell(self, capacity: int, urgent: Iterable[int]) -> list[int]:
        """Takes runs whose sizes sum to `capacity`. They are in their order, save rests."""
        self._rests = [run for run in self._rests if not self._taken[run]]
        for untaken in (self._all, *self._of_size.values()):
            untaken.advance()
        runs = []
        for group in urgent:
            of_group = self._runs_of[group]
            while of_group and self._taken[of_group[-1]]:
                of_group.pop()
            if of_group and self._allowed(of_group[-1]) and self._size[of_group[-1]] <= capacity:
                runs.append(self._take(of_group[-1]))
                capacity -= self._size[runs[-1]]
        return sorted(runs + self._up_to(capacity))

    def _up_to(self, free: int) -> list[int]:
        runs: list[int] = []
        enough = 2 * max(self._of_size)
        if free > enough:
            for run in self._pending(self._all):
                runs.append(self._take(run))
                free -= self._size[run]
                if free <= enough:
                    break
        for _ in range(_MAX_RETURNED):
            if (rest := self._exactly(free)) is not None:
                return runs + rest
            if not runs:
                break
            free += self._size[self._give_back(runs.pop())]
        return runs + self._with_a_cut(free)

    def _pending(self, runs: Iterable[int], size: int | None = None) -> Iterator[int]:
        """Yields the runs that may be in the batch, rests first: all or those of a size."""
        rests = [run for run in self._rests if not self._taken[run] and size in (None, self._size[run])]
        return filter(self._allowed, chain(rests, runs))

    def _allowed(self, run: int) -> bool:
        return self._group[run] < 0 or self._group[run] not in self._used

    def _take(self, run: int) -> int:
        self._taken[run] = 1
        group = self._group[run]
        self._used.add(group)
        if group in self._waiting:
            self._set_waiting(group, self._waiting[group] - 1)
        return run

    def _give_back(self, run: int) -> int:
        self._taken[run] = 0
        group = self._group[run]
        self._used.discard(group)
        if group in self._waiting:
            self._set_waiting(group, self._waiting[group] + 1)
        return run

    def _set_waiting(self, group: int, runs: int) -> None:
        self._waiting[group] = runs
        self._with_waiting.setdefault(runs, []).append(group)

    def _exactly(self, free: int) -> list[int] | None:
        """Takes runs of different groups whose sizes sum to `free`; None, and none is taken, where none do."""
        candidates: dict[int, list[int]] = {}
        groups: set[int] = set()
        for size in sorted((size for size in self._of_size if size <= free), reverse=True):
            found = candidates.setdefault(size, [])
            for run in self._pending(self._of_size[size], size):
                if self._group[run] not in groups:
                    found.append(run)
                    groups |= {self._group[run]} - {-1}
                if len(found) == free // size:
                    break
        sizes = exact_sum(free, {size: len(runs) for size, runs in candidates.items()})
        return None if sizes is None else [self._take(candidates[size].pop(0)) for size in sizes]

    def _with_a_cut(self, free: int) -> list[int]:
        """Takes the largest runs that fit, and the beginning of another one."""
        runs: list[int] = []
        while free:
            firsts = {size: next(self._pending(of_size, size), None) for size, of_size in self._of_size.items()}
            sizes = [size for size, run in firsts.items() if run is not None]
            if not sizes:  # all that remains is of groups that are here
                self._used = set()
                continue
            size = max((size for size in sizes if size <= free), default=0) or min(sizes)
            run = firsts[size]
            assert run is not None
            runs.append(self._take(run))
            if size > free:
                self._cut(run, free)
            free -= self._size[run]
        return runs

    def _cut(self, run: int, size: int) -> None:
        """Leaves `size` members in a run; the others become a run of their own."""
        rest, number, group = self._size[run] - size, len(self._start), self._group[run]
        self._start.append(self._start[run] + size)
        self._size[run] = size
        self._size.append(rest)
        self._group.append(group)
        self._taken.append(0)
        self._rests.append(number)
        self._of_size.setdefault(rest, _Untaken([], self._taken))
        if group in self._waiting:
            self._runs_of[group].append(number)
            self._set_waiting(group, self._waiting[group] + 1)


def exact_sum(free: int, counts: Mapping[int, int]) -> tuple[int, ...] | None:
    """Finds sizes that sum to `free`, each at most as often as it has runs; large ones first."""
    reached: dict[int, tuple[int, ...]] = {0: ()}
    for size in sorted(counts, reverse=True):
        for filled, used in sorted(reached.items(), reverse=True):  # which leaves the small ones
            for times in range(1, min(counts[size], (free - filled) // size) + 1):
                reached.setdefault(filled + times * size, used + (size,) * times)
        if free in reached:
            break
    return reached.get(free)
