from __future__ import annotations

from pathlib import Path

import pytest

from corpus.settings import SettingsError, parse_settings
from pipelines.labels.hierarchy import Relations
from pipelines.labels.merge import MERGED_LABELS, MergeSettings, SetLabel, merge_labels
from pipelines.labels.vocabulary import load_names

NO_LISTS = MergeSettings(builtin_vocabulary=False)


def test_sets_that_name_the_same_thing_are_merged() -> None:
    merged = merge_labels(
        {
            "imagenet": ["tench, Tinca tinca", "airliner", "potted_plant"],
            "voc": ["aeroplane", "Tench", "pottedplant"],
            "mine": ["a photo of an airplane", "Tenches"],
        }
    )
    assert {merged.merged("imagenet", "tench, Tinca tinca"), merged.merged("voc", "Tench")} == {"tench"}
    assert merged.merged("mine", "Tenches") == "tench"
    assert merged.merged("voc", "aeroplane") == merged.merged("mine", "a photo of an airplane") == "airplane"
    assert merged.merged("voc", "pottedplant") == merged.merged("imagenet", "potted_plant") == "potted plant"
    assert merged.merged("imagenet", "airliner") == "airliner"
    assert merged.merged("voc", "") == ""


def test_a_name_under_two_ids_stays_two_labels() -> None:
    merged = merge_labels(
        {"imagenet": [SetLabel("crane", "134"), SetLabel("crane", "517")], "voc": ["crane"]}, NO_LISTS
    )
    names = {merged.merged("imagenet", "crane", "134"), merged.merged("imagenet", "crane", "517")}
    assert names == {"crane [imagenet: 134]", "crane [imagenet: 517]"}
    assert merged.merged("voc", "crane") == "crane"


def test_the_user_tells_two_of_one_name_apart(tmp_path: Path) -> None:
    path = tmp_path / "names.yaml"
    path.write_text(
        "rename:\n  imagenet: {'crane#134': crane bird, 'crane#517': construction crane}\n"
        "synonyms: [[ground, soil, earth]]\n"
    )
    labels = {"imagenet": [SetLabel("crane", "134"), SetLabel("crane", "517"), "soil"], "mine": ["Earth"]}
    merged = merge_labels(labels, MergeSettings(vocabulary_file=str(path)))
    assert merged.merged("imagenet", "crane", "517") == "construction crane"
    assert merged.merged("imagenet", "soil") == merged.merged("mine", "Earth") == "ground"


def test_the_users_group_goes_before_a_built_in_one(tmp_path: Path) -> None:
    path = tmp_path / "names.yaml"
    path.write_text("synonyms: [[couch, sofa]]\n")
    merged = merge_labels({"voc": ["sofa"], "mine": ["settee"]}, MergeSettings(vocabulary_file=str(path)))
    assert merged.merged("voc", "sofa") == merged.merged("mine", "settee") == "couch"


def test_renaming_a_label_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "names.yaml"
    path.write_text("rename: {imagenet: {crain: crane}}\n")
    with pytest.raises(SettingsError, match="set imagenet has no label 'crain'"):
        merge_labels({"imagenet": ["crane"]}, MergeSettings(vocabulary_file=str(path)))


def test_names_that_cannot_be_used_are_refused_with_the_settings(tmp_path: Path) -> None:
    (tmp_path / "names.yaml").write_text("synonym: {tool: [hammer]}")
    for name, message in (("names", "did you mean 'synonyms'"), ("nowhere", "cannot be read")):
        with pytest.raises(SettingsError, match=message):
            parse_settings({"vocabulary_file": str(tmp_path / f"{name}.yaml")}, MergeSettings)


def test_two_labels_of_one_set_are_never_joined_by_lists_or_plurals() -> None:
    merged = merge_labels(
        {
            "imagenet": ["sunglass", "sunglasses", "laptop, laptop computer", "notebook, notebook computer"],
            "mine": ["sunglasses", "notebook", "laptop"],
        }
    )
    assert merged.merged("imagenet", "sunglass") != merged.merged("imagenet", "sunglasses")
    assert merged.merged("imagenet", "sunglasses") == merged.merged("mine", "sunglasses")
    assert merged.merged("imagenet", "laptop, laptop computer") == merged.merged("mine", "laptop")
    assert merged.merged("imagenet", "notebook, notebook computer") == merged.merged("mine", "notebook")
    twin = merge_labels({"set": ["crane, bird", "crane, machine"]}, NO_LISTS)
    assert twin.merged("set", "crane, bird") != twin.merged("set", "crane, machine")
    group = merge_labels({"set": ["sofa", "couch"], "other": ["couch"]})
    assert group.merged("set", "couch") == group.merged("other", "couch") == "couch"


def test_a_class_that_is_written_in_two_ways_is_one() -> None:
    merged = merge_labels({"set": ["Dog", "dog", "a photo of a dog"]}, NO_LISTS)
    assert set(merged.table.column("merged").to_pylist()) == {"dog"}


def test_signs_and_vowel_marks_tell_labels_of_a_set_apart() -> None:
    labels = {"answers": ["-1", "+1", "<5", ">5"], "grades": ["A+", "A", "A-"], "hindi": ["की", "का", "के"]}
    merged = merge_labels(labels, NO_LISTS)
    assert len(set(merged.table.column("merged").to_pylist())) == 10


def test_blank_labels_are_none() -> None:
    merged = merge_labels({"set": ["", " ", "\t", "dog"]}, NO_LISTS)
    assert merged.table.column("label").to_pylist() == ["dog"]
    assert merged.merged("set", " ") == merged.merged("set", "") == ""


def test_answers_numbers_and_names_of_several_meanings_stay_with_their_set() -> None:
    merged = merge_labels({"memes": ["Yes", "No", "3", "!"], "other": ["yes", "3", "mouse"], "imagenet": ["mouse"]})
    assert merged.merged("memes", "Yes") == "yes [memes]"
    assert merged.merged("other", "yes") == "yes [other]"
    assert merged.merged("memes", "3") == "3 [memes]"
    assert merged.merged("memes", "!") == "! [memes]"
    assert merged.merged("other", "mouse") != merged.merged("imagenet", "mouse")


def test_order_of_sets_and_labels_does_not_count() -> None:
    labels: dict[str, list[SetLabel | str]] = {"a": ["dogs", "couch", "sofa"], "b": ["dog", "couches"], "c": ["Sofas"]}
    backwards = {name: labels[name][::-1] for name in reversed(labels)}
    one, other = merge_labels(labels), merge_labels(backwards)
    assert one.table.equals(other.table)
    assert one.table.schema == MERGED_LABELS
    assert one.table.num_rows == 6


def test_words_that_are_joined_and_words_that_are_not_are_one_name() -> None:
    labels = {
        "one": ["JumpOnBox", "snowshovel", "garden gnomes", "sunbed", "sun bed"],
        "two": ["jump on box", "snow shovels", "GardenGnome", "SunBeds"],
    }
    merged = merge_labels(labels, NO_LISTS)
    for one, two in (("JumpOnBox", "jump on box"), ("snowshovel", "snow shovels"), ("garden gnomes", "GardenGnome")):
        assert merged.merged("one", one) == merged.merged("two", two), one
    assert merged.merged("one", "sunbed") != merged.merged("one", "sun bed")
    assert merged.merged("two", "SunBeds") == merged.merged("one", "sun bed")


def test_every_name_that_a_label_lists_relates_it_to_what_another_set_calls_so() -> None:
    labels: dict[str, list[SetLabel | str]] = {
        "lists": ["sledge, toboggan, bobsled", "mallet, beetle", "vole, beetle, Arvicola", "shack, hut", "hut", "gull"],
        "other": ["Toboggans", "beetle", "hut", "Arvicola", "gull", "sea gull"],
        "third": ["toboggan"],
    }
    merged = merge_labels(labels, NO_LISTS)
    relations = Relations(merged.table.column("merged").to_pylist(), NO_LISTS.lists)
    assert merged.merged("third", "toboggan") == merged.merged("other", "Toboggans")
    found = {
        (label, other)
        for label in labels["lists"]
        for other in labels["other"]
        if relations.related(merged.merged("lists", str(label)), merged.merged("other", str(other)))
    }
    assert found == {
        ("sledge, toboggan, bobsled", "Toboggans"),
        ("vole, beetle, Arvicola", "Arvicola"),
        ("gull", "sea gull"),
    }, "of two labels that list a name neither is meant for sure"
    first_only = merge_labels(labels, MergeSettings(builtin_vocabulary=False, use_first_synonym=False))
    assert not any("a name of" in name for name in first_only.table.column("merged").to_pylist())


def test_what_contains_a_label_contains_its_other_names(tmp_path: Path) -> None:
    path = tmp_path / "names.yaml"
    path.write_text("hyponyms: {vehicle: [sledge]}\n")
    merged = merge_labels(
        {"lists": ["sledge, toboggan", "vehicle"], "other": ["toboggan"]}, MergeSettings(vocabulary_file=str(path))
    )
    relations = Relations(merged.table.column("merged").to_pylist(), load_names(path))
    assert relations.related("vehicle", merged.merged("other", "toboggan"))


def test_a_word_for_another_thing_in_some_sets_is_merged_with_nothing_and_related_to_nothing(tmp_path: Path) -> None:
    path = tmp_path / "names.yaml"
    path.write_text("dataset_specific: {gazette: [gardens, plants]}\nsynonyms: [[plant, herb]]\n")
    settings = MergeSettings(vocabulary_file=str(path))
    merged = merge_labels(
        {"The-Gazette_2": ["Gardens", "Sport"], "things": ["garden", "gardens", "plant", "sport"]}, settings
    )
    section = merged.merged("The-Gazette_2", "Gardens")
    assert section == "gardens [The-Gazette_2]"
    assert merged.merged("things", "gardens") == "gardens"
    assert merged.merged("The-Gazette_2", "Sport") == merged.merged("things", "sport")
    relations = Relations(merged.table.column("merged").to_pylist(), settings.lists)
    assert not any(section in (row["label"], row["other"]) for row in relations.table().to_pylist())


def test_sections_and_moves_of_known_sets_are_no_things() -> None:
    for name, label, other in (
        ("n24news", "Television", "tv"),
        ("N24News/train", "Books", "book"),
        ("kinetics700", "vault", "vault"),
        ("nwpu-resisc45", "terrace", "patio, terrace"),
        ("n24news", "Automobiles", "car"),
        ("country211", "Turkey", "turkey"),
    ):
        merged = merge_labels({name: [label], "objects": [other]})
        one, two = merged.merged(name, label), merged.merged("objects", other)
        assert one != two, label
        assert not Relations([one, two], load_names()).related(one, two), label


def test_report_lists_what_was_joined_and_why() -> None:
    report = merge_labels({"voc": ["aeroplane", "cat"], "mine": ["airplanes"]}).report()
    assert report[0] == "3 labels of 2 sets are 2 merged labels"
    assert "airplane = mine: airplanes; voc: aeroplane" in report
    assert "voc: aeroplane -> airplane (listed as airplane)" in report
    assert "mine: airplanes -> airplane (the plural of airplane)" in report
    assert not any("cat" in line for line in report)
