"""Names of labels: what counts of them, what is one name, and which lists are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.settings import SettingsError
from pipelines.labels.hierarchy import Relations
from pipelines.labels.merge import MergeSettings, merge_labels
from pipelines.labels.vocabulary import aliases, first_synonym, load_names, normalize_label, singular
from tests.helpers.cases import cases


@cases(
    ("label", "expected"),
    [
        ("Golden_Retriever", "golden retriever"),
        ("a photo of a dog.", "dog"),
        ("A bad photo of the Dog", "dog"),
        ("Close-up photo of dogs, a type of pet.", "dogs"),
        ("the T-shirt", "t shirt"),
        ("/c/church/outdoor", "outdoor church"),
        ("Art & Design", "art and design"),
        ("jack-o'-lantern", "jack o lantern"),
        ("photo of", "photo of"),
        ("a", "a"),
        ("Ｄｏｇ", "dog"),
        ("собака", "собака"),
        ("WalkingTheCow", "walking the cow"),
        ("put_sauceOnBread", "put sauce on bread"),
        ("HDTVScreen", "hdtv screen"),
        ("iPod", "ipod"),
        ("McLaren", "mclaren"),
        ("YoYo", "yoyo"),
        ("कुत्ता", "कुत्ता"),
        ("dog\u200b\ufeff", "dog"),
        ("-1", "-1"),
        ("+1", "+1"),
        ("A-", "a-"),
        ("C++", "c++"),
        ("F-16", "f 16"),
        ("50%", "50%"),
        ("#dog", "dog"),
        ("???", ""),
        ("🐶\ufe0f", ""),
    ],
)
def test_what_does_not_count_is_left_out(label: str, expected: str) -> None:
    assert normalize_label(label) == expected
    assert normalize_label(expected) == expected


def test_first_of_several_names() -> None:
    assert first_synonym("tench, Tinca tinca") == "tench"
    assert first_synonym(", dog") == "dog"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[("dogs", "dog"), ("churches", "church"), ("cities", "city"), ("glass", "glass"), ("news", "news")],
        *[("bus", "bus"), ("fishermen", "fisherman"), ("timber wolves", "timber wolf"), ("mice", "mouse")],
    ],
)
def test_a_plural_is_one_where_the_singular_is_known(name: str, expected: str) -> None:
    assert singular("sites", {"sit", "site"}) == "site"
    assert singular("sites", {"sit"}) == "sites"
    assert singular("boxes", {"box"}) == "box"
    known = {"dog", "church", "city", "new", "bus", "fisherman", "timber wolf", "mouse"}
    assert singular(name, known) == expected
    assert singular(name, set()) == name


def test_a_names_file_with_an_unknown_key_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "names.yaml"
    path.write_text("synonym: []\n")
    with pytest.raises(SettingsError, match="did you mean 'synonyms'"):
        load_names(path)


def test_groups_of_a_file_that_contradict_each_other_or_run_in_circles(tmp_path: Path) -> None:
    path = tmp_path / "names.yaml"
    path.write_text("synonyms: [[hound, cur], [cur, hound], [tyke, cur], []]\nhyponyms: {cur: [tyke], tyke: [cur]}\n")
    merged = merge_labels({"a": ["cur"], "b": ["hound"], "c": ["tyke"]}, MergeSettings(vocabulary_file=str(path)))
    assert [merged.merged(*each) for each in (("a", "cur"), ("b", "hound"), ("c", "tyke"))] == [
        "hound",
        "hound",
        "tyke",
    ]
    relations = Relations(["hound", "tyke"], load_names(path))
    assert relations.table().num_rows == 1


def test_built_in_lists_are_sound() -> None:
    names = load_names()
    grouped = [normalize_label(name) for group in names.synonyms for name in group]
    assert len(grouped) == len(set(grouped)), "a name stands in two groups"
    assert all(len(group) > 1 for group in names.synonyms)
    alias = aliases(names)
    every = {normalize_label(name) for above, below in names.hyponyms.items() for name in (above, *below)}
    relations = Relations({alias.get(name, name) for name in every}, names)
    both = {(row["label"], row["other"]) for row in relations.table().to_pylist()}
    assert not any((other, one) in both for one, other in both)
    assert relations.related("animal", "italian greyhound")
    assert relations.related("vehicle", "beach wagon")
    assert not relations.related("dog", "cat")
    assert not relations.related("table", "vegetable")
    assert not Relations(["cow", "boston bull"], names).related("cow", "boston bull")
