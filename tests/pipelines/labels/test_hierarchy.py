from __future__ import annotations

import numpy as np

from pipelines.labels.hierarchy import RELATED_LABELS, Relations
from pipelines.labels.merge import SetLabel, merge_labels
from pipelines.labels.vocabulary import LabelNames, load_names, normalize_label

NONE = LabelNames()


def test_last_words_contain() -> None:
    relations = Relations(["greyhound", "italian greyhound", "hound", "grey", "italian"], NONE)
    assert relations.related("greyhound", "italian greyhound")
    assert relations.related("italian greyhound", "greyhound")
    assert not relations.related("italian", "italian greyhound")
    assert not relations.related("hound", "greyhound")
    assert not relations.related("greyhound", "greyhound")


def test_lists_contain_over_several_steps_and_in_circles() -> None:
    names = LabelNames(hyponyms={"animal": ["dog"], "dog": ["hound"], "hound": ["whippet", "animal"]})
    relations = Relations(["animal", "whippet", "small whippet", "stone"], names)
    table = relations.table()
    assert table.schema == RELATED_LABELS
    assert {tuple(sorted((row["label"], row["other"]))) for row in table.to_pylist()} == {
        ("animal", "whippet"),
        ("animal", "small whippet"),
        ("small whippet", "whippet"),
    }
    assert "animal > dog > hound > whippet" in table.column("why").to_pylist()


def test_kinds_of_one_thing_are_not_related() -> None:
    relations = Relations(["dog", "beagle", "pug"], load_names())
    assert relations.related("dog", "beagle")
    assert relations.related("dog", "pug")
    assert not relations.related("beagle", "pug")


def test_a_hot_dog_is_no_dog() -> None:
    relations = Relations(["dog", "hot dog", "sea lion", "lion", "sled dog"], load_names())
    assert not relations.related("dog", "hot dog")
    assert not relations.related("lion", "sea lion")
    assert relations.related("dog", "sled dog")


def test_what_is_a_kind_of_hot_dog_is_no_dog_either() -> None:
    relations = Relations(
        ["dog", "chili hot dog", "hotdog", "bear", "plush teddy bear", "dish", "petri dish"], load_names()
    )
    assert relations.table().select(["label", "other"]).to_pylist() == [{"label": "hotdog", "other": "chili hot dog"}]


def test_deeds_denials_phrases_and_proper_names_are_no_kinds_of_their_last_word() -> None:
    things = [
        "harp",
        "gate",
        "ladder",
        "pipe",
        "cow",
        "smoke",
        "beetle",
        "lake",
        "sauce",
        "goat",
        "table",
        "machine",
        "ring",
    ]
    wrong = [
        *[
            "strumming harp",
            "WalkingTheCow",
            "painting or fixing gate",
            "climb ladder",
            "stirfry sauce",
            "tying a goat",
        ],
        *["not a cow", "no smoke", "without ring", "fish of the lake", "smell like goat", "ford beetle"],
    ]
    right = [
        "celtic harp",
        "garden gate",
        "rope ladder",
        "dining table",
        "washing machine",
        "string ring",
        "dung beetle",
    ]
    relations = Relations([*things, *map(normalize_label, wrong + right)], load_names())
    related = {
        name: [thing for thing in things if relations.related(thing, normalize_label(name))] for name in wrong + right
    }
    assert [name for name in wrong if related[name]] == []
    assert [name for name in right if not related[name]] == []


def test_deeds_are_kinds_where_a_list_says_so() -> None:
    names = LabelNames(hyponyms={"sport": ["climbing wall"]}, gerund_modifiers=["milking"])
    relations = Relations(["sport", "wall", "climbing wall", "stool", "milking stool", "breaking stool"], names)
    assert relations.related("sport", "climbing wall")
    assert relations.related("wall", "climbing wall")
    assert relations.related("stool", "milking stool")
    assert not relations.related("stool", "breaking stool")


def test_big_cats_and_wild_dogs_are_neither() -> None:
    relations = Relations(["cat", "lion", "dog", "coyote", "mammal"], load_names())
    assert not relations.related("cat", "lion")
    assert not relations.related("dog", "coyote")
    assert relations.related("mammal", "lion")


def test_plurals_contain_and_are_contained() -> None:
    relations = Relations(["dog", "sled dogs", "golden retrievers", "cats", "persian cat"], load_names())
    assert relations.related("dog", "sled dogs")
    assert relations.related("dog", "golden retrievers")
    assert relations.related("cats", "persian cat")


def test_names_that_were_kept_apart_are_related_save_ids_of_one_set() -> None:
    merged = merge_labels(
        {
            "imagenet": [SetLabel("crane", "134"), SetLabel("crane", "517"), "sunglass", "sunglasses"],
            "voc": ["crane", "bird"],
        }
    )
    relations = Relations(merged.table.column("merged").to_pylist(), load_names())
    bird, machine = (merged.merged("imagenet", "crane", number) for number in ("134", "517"))
    assert relations.related(bird, merged.merged("voc", "crane"))
    assert relations.related(bird, "bird")
    assert not relations.related(bird, machine)
    assert relations.related("sunglass", "sunglasses")


def test_pairs_are_numbers_of_the_labels_as_given() -> None:
    relations = Relations(["dog", "beagle", "pug", "cat"], load_names())
    numbered = ["", "pug", "stone", "dog"]
    assert relations.pairs(numbered).tolist() == [[3, 1]]
    assert relations.pairs([]).shape == (0, 2)
    assert relations.pairs(numbered).dtype == np.int32
