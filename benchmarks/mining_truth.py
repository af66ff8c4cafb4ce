"""Hard negatives of a world whose truth is known: how many are none, and how many of the hardest are found, by rule.

Pictures have six attributes of eight values; a caption names some of its picture's, so it fits other pictures, too, and
more of them the fewer it names. Those are false negatives. The hardest true ones differ from the caption in one of the
attributes that it names. Vectors are sums of what a picture has and a caption names, in unequal weights, and of noise:
neither a score nor a rule can tell everything. Some pictures are near copies of others, some captions are equal.

With `--embedder` the world is one of drawn scenes: pictures of the scenes that the test embedder was not trained on,
some of them a second picture of another's scene, captions that state some of a scene's attributes, and the vectors that
the embedder computes of both.

Precision: which part of the chosen negatives do not fit the caption. Recall: which part of `--negatives` places per
caption is taken by the hardest ones, where there are so many. Means of five worlds, with the standard deviation among
them. The lines "sentence-transformers" are its `mine_hard_negatives` on the same vectors, where it is installed.
Run `python -m benchmarks.mining_truth`, with the Python of `.venv-models` for those lines and for `--embedder`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from functools import partial
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from benchmarks.mining import Lookup
from corpus.search.exact import search
from corpus.search.fast_scores import exact_products
from corpus.vectors import Vectors, normalise
from demo.vlm import EMBEDDER
from demo.vlm.scenes import OPTIONAL, VlmScene
from demo.vlm.training.embedder_batches import HELD_OUT, held_out_scenes
from mining.choose import Candidates, Choice, Reason, Rules, choose, in_row_list, pool_positives
from serving.vllm.torchvision_shim import patch_imports

ATTRIBUTES, VALUES, DIMENSION = 6, 8, 96
COPIES = 0.15  # of the pictures are nearly another one
NOTHING = Rules(perc_pos=None, max_positive_similarity=None, range_max=60)
RULES: dict[str, Rules] = {
    "no rule": NOTHING,
    "range_min 10": replace(NOTHING, range_min=10),
    "max_score 0.5": replace(NOTHING, max_score=0.5),
    "absolute_margin 0.05": replace(NOTHING, absolute_margin=0.05),
    "relative_margin 0.05": replace(NOTHING, relative_margin=0.05),
    "perc_pos 0.95": replace(NOTHING, perc_pos=0.95),
    "perc_pos 0.85": replace(NOTHING, perc_pos=0.85),
    "max_positive_similarity 0.95": replace(NOTHING, max_positive_similarity=0.95),
    "max_positive_similarity 0.8": replace(NOTHING, max_positive_similarity=0.8),
    "max_query_similarity 0.8": replace(NOTHING, max_query_similarity=0.8),
    "the defaults": replace(NOTHING, perc_pos=0.95, max_positive_similarity=0.95),
    "defaults and query similarity": replace(
        NOTHING, perc_pos=0.95, max_positive_similarity=0.95, max_query_similarity=0.8
    ),
}
THEIR_KNOBS = ("range_min", "range_max", "max_score", "min_score", "absolute_margin", "relative_margin")

Matrix = npt.NDArray[np.bool_]
Embed = Callable[[Sequence[str], Sequence[VlmScene], np.random.Generator], tuple[Vectors, Vectors]]


@dataclass(frozen=True)
class World:
    """Captions and pictures, the n-th picture being the positive of the n-th caption."""

    captions: Vectors
    pictures: Vectors
    fits: Matrix  # [captions, pictures]
    hardest: Matrix  # true negatives that differ in one of the attributes that the caption names
    caption_ids: npt.NDArray[np.uint64]  # [2, captions]; equal captions have equal ids
    picture_ids: npt.NDArray[np.uint64]


def draw_world(rows: int, seed: int) -> World:
    random = np.random.default_rng(seed)
    original = np.where(random.random(rows) < COPIES, random.integers(0, rows, rows), np.arange(rows))
    # Frequent values and rare ones: of the frequent ones many pictures have the same.
    shares = 1 / np.arange(1, VALUES + 1)
    values = random.choice(VALUES, (rows, ATTRIBUTES), p=shares / shares.sum())[original]
    order = np.argsort(random.random((rows, ATTRIBUTES)), axis=1)
    named = order < random.integers(2, ATTRIBUTES + 1, rows)[:, None]
    meanings = random.standard_normal((ATTRIBUTES, VALUES, DIMENSION)) / np.sqrt(DIMENSION)
    weights = np.linspace(1.3, 0.7, ATTRIBUTES)
    parts = meanings[np.arange(ATTRIBUTES), values] * weights[:, None]

    def noise(size: float) -> npt.NDArray[np.float64]:
        return size * random.standard_normal((rows, DIMENSION)) / np.sqrt(DIMENSION)

    captions = normalise((parts * named[:, :, None]).sum(axis=1) + noise(0.4))
    pictures = normalise(parts.sum(axis=1) + noise(0.8)[original] + noise(0.1))
    return world_of(values, named, captions, pictures)


def draw_scene_world(rows: int, seed: int, embed: Embed) -> World:
    """A world of drawn scenes. `embed` computes the vectors of captions, and those of pictures of scenes."""
    random, scenes = np.random.default_rng(seed), held_out_scenes()
    original = np.where(random.random(rows) < COPIES, random.integers(0, rows, rows), np.arange(rows))
    chosen = [scenes[place] for place in random.permutation(len(scenes))[:rows][original]]
    names = [field.name for field in fields(VlmScene)]
    optional = np.array([name in OPTIONAL for name in names])
    order = np.argsort(random.random((rows, len(names))), axis=1)
    named = (order < random.integers(2, len(names) + 1, rows)[:, None]) | ~optional
    texts = [
        scene.partial_caption([name for name, states in zip(names, row, strict=True) if states])
        for scene, row in zip(chosen, named, strict=True)
    ]
    attributes = zip(*map(astuple, chosen), strict=True)
    values = np.stack([np.unique(np.array(column), return_inverse=True)[1] for column in attributes], axis=1)
    return world_of(values, named, *embed(texts, chosen, random))


def world_of(values: npt.NDArray[np.int64], named: Matrix, captions: Vectors, pictures: Vectors) -> World:
    """The world of pictures with these values, [rows, attributes], and of captions that name some of them."""
    rows, attributes = values.shape
    wrong = np.zeros((rows, rows), np.int8)
    for attribute in range(attributes):
        differs = values[:, None, attribute] != values[None, :, attribute]
        wrong += differs & named[:, attribute, None]
    base = int(values.max()) + 2
    codes = (np.where(named, values, base - 1) @ base ** np.arange(attributes)).astype(np.uint64)
    ids = np.arange(rows, dtype=np.uint64)
    _, first, caption = np.unique(codes, return_index=True, return_inverse=True)
    return World(
        captions[first[caption]], pictures, wrong == 0, wrong == 1, np.stack([codes, codes]), np.stack([ids, ids])
    )


def open_embedder() -> Embed:
    """Loads the test embedder."""
    from demo.vlm.training import embedder

    patch_imports()
    model, encode = embedder.load(EMBEDDER)

    def embed(
        captions: Sequence[str], scenes: Sequence[VlmScene], random: np.random.Generator
    ) -> tuple[Vectors, Vectors]:
        pictures = embedder.picture_vectors(model, encode, scenes, random)
        return normalise(embedder.caption_vectors(model, encode, captions)), normalise(pictures)

    return embed


def candidates_of(world: World, k: int) -> tuple[Candidates, int, npt.NDArray[np.int64]]:
    """The ranked candidates of all captions, the most positives of one, and the pictures that they are."""
    rows = np.arange(len(world.captions))
    products = exact_products(world.captions, world.pictures).astype(np.float32)
    reference, max_positives = pool_positives(world.caption_ids, products[rows, rows])
    found = search(world.captions, [(world.picture_ids, world.pictures)], k)
    offsets, ids, scores, pictures = found.lists()
    row = np.repeat(rows, np.diff(offsets))
    equal = [np.flatnonzero((world.caption_ids == world.caption_ids[:, [each]]).all(axis=0)) for each in rows]
    list_offsets = np.concatenate([[0], np.cumsum([len(part) for part in equal])])
    positive = in_row_list(offsets, ids, list_offsets, world.picture_ids[:, np.concatenate(equal)])
    like_positive = exact_products(world.pictures, world.pictures).astype(np.float32)
    like_query = exact_products(world.captions, world.captions).astype(np.float32)
    masks = {Reason.OWN_POSITIVE: row == pictures, Reason.POSITIVE_OF_EQUAL_QUERY: positive & (row != pictures)}
    candidates = Candidates(
        world.caption_ids,
        offsets,
        ids,
        scores,
        reference,
        masks,
        positive_similarity=like_positive[row, pictures],
        query_similarity=like_query[row, pictures],
    )
    return candidates, max_positives, pictures


def quality(world: World, lists: list[list[int]], negatives: int) -> tuple[float, float, float]:
    """Precision, recall of the hardest, and which part of the places was filled."""
    row = np.repeat(np.arange(len(lists)), [len(line) for line in lists])
    picture = np.array([place for line in lists for place in line], np.int64)
    hard = np.bincount(row, world.hardest[row, picture], minlength=len(lists))
    there = np.minimum(negatives, world.hardest.sum(axis=1))
    return (
        1 - float(world.fits[row, picture].mean()),
        float(np.minimum(hard, there).sum() / there.sum()),
        len(picture) / (negatives * len(lists)),
    )


def chosen_lists(choice: Choice, pictures: npt.NDArray[np.int64]) -> list[list[int]]:
    return [part.tolist() for part in np.split(pictures[choice.chosen], choice.offsets[1:-1])]


def their_lists(world: World, rules: Rules) -> list[list[int]]:
    """What sentence-transformers chooses by the rules that it has."""
    from datasets import Dataset, disable_progress_bars
    from sentence_transformers.util import mine_hard_negatives

    disable_progress_bars()
    _, first, caption = np.unique(world.caption_ids[0], return_index=True, return_inverse=True)
    captions = [str(at) for at in first[caption]]  # equal captions have equal names
    pictures = [str(at) for at in range(len(world.pictures))]
    with contextlib.redirect_stderr(io.StringIO()):
        mined = mine_hard_negatives(
            Dataset.from_dict({"caption": captions, "picture": pictures}),
            Lookup(world.captions, world.pictures),  # type: ignore[arg-type]
            num_negatives=rules.num_negatives,
            output_format="labeled-list",
            verbose=False,
            **{name: getattr(rules, name) for name in THEIR_KNOBS},
        )
    lists: list[list[int]] = [[] for _ in captions]
    for line in mined["picture"]:
        lists[int(line[0])] = [int(name) for name in line[1:]]
    return lists


def oracle_lists(
    world: World, candidates: Candidates, pictures: npt.NDArray[np.int64], negatives: int
) -> list[list[int]]:
    row = candidates.rows()
    truth = {Reason.JUDGED_POSITIVE: world.fits[row, pictures]}
    choice = choose(replace(candidates, masks=truth), replace(NOTHING, num_negatives=negatives, range_max=10**6))
    return chosen_lists(choice, pictures)


def measure(world: World, negatives: int, with_peer: bool) -> dict[str, tuple[float, float, float]]:
    """The quality of each rule's negatives, beside that of sentence-transformers where it has the rule."""
    candidates, max_positives, pictures = candidates_of(world, min(len(world.pictures), 200))
    found = {}
    for name, rules in RULES.items():
        rules = replace(rules, num_negatives=negatives)
        lists = chosen_lists(choose(candidates, rules, max_positives), pictures)
        found[name] = quality(world, lists, negatives)
        if with_peer and not (rules.perc_pos or rules.max_positive_similarity or rules.max_query_similarity):
            found[f"{name}, sentence-transformers"] = quality(world, their_lists(world, rules), negatives)
    found["oracle"] = quality(world, oracle_lists(world, candidates, pictures, negatives), negatives)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, help="captions, and pictures, of each world: 3000, with --embedder 1000")
    parser.add_argument("--embedder", action="store_true", help="drawn scenes, and vectors by the test embedder")
    parser.add_argument("--negatives", type=int, default=4)
    parser.add_argument("--worlds", type=int, default=5)
    args = parser.parse_args()
    with_peer = bool(find_spec("sentence_transformers") and find_spec("datasets"))
    if with_peer:
        patch_imports()
    if args.embedder:
        draw = partial(draw_scene_world, args.rows or HELD_OUT, embed=open_embedder())
    else:
        draw = partial(draw_world, args.rows or 3000)
    measured = [measure(draw(seed=seed), args.negatives, with_peer) for seed in range(args.worlds)]
    print(f"{'':48} {'precision':>15} {'recall of hardest':>18} {'filled':>8}")
    means = {}
    for name in measured[0]:
        values = [world[name] for world in measured]
        (precision, recall, filled), spread = np.mean(values, axis=0), np.std(values, axis=0)
        means[name] = float(precision)
        print(f"{name:48} {precision:7.3f} ± {spread[0]:.3f} {recall:10.3f} ± {spread[1]:.3f} {filled:8.3f}")
    ours, naive = means["the defaults"], means["no rule"]
    result = {
        "name": "mining_truth of scenes" if args.embedder else "mining_truth",
        "unit": "part of the negatives that are true",
        "ours": round(ours, 3),
        "peer": round(naive, 3),
        "peer_name": "the nearest, by no rule",
        "ratio": round(ours / naive, 3),
        "rounds": args.worlds,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
