from __future__ import annotations

import hashlib
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from pydantic import ValidationError

from corpus.settings import SettingsError, parse_settings
from recaption.prompts import (
    PURPOSES,
    Prompt,
    PromptChoice,
    check_prompt_names,
    choose_prompts,
    chosen_prompts,
    load_library,
    render_prompt,
)
from tests.helpers.cases import cases

LIBRARY = load_library()


def digests(count: int) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest()[:16] for number in range(count)]


def write(folder: Path, text: str) -> str:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def pick(choice: dict[str, float], files: tuple[str, ...] = ()) -> tuple[tuple[Prompt, float], ...]:
    return chosen_prompts(PromptChoice(prompts=choice, files=files))


def test_the_library_has_several_prompts_for_each_purpose() -> None:
    counts = {purpose: sum(prompt.purpose == purpose for prompt in LIBRARY.values()) for purpose in PURPOSES}
    assert counts == {"detailed": 7, "short": 3, "document": 3, "chart": 3, "clip_frames": 3, "window_frames": 3}
    hinted = [name for name, prompt in LIBRARY.items() if prompt.uses_context]
    assert sorted(hinted) == ["detailed-05", "detailed-06", "window_frames-02", "window_frames-03"]
    assert len({prompt.digest for prompt in LIBRARY.values()}) == len(LIBRARY)
    assert len({prompt.text for prompt in LIBRARY.values()}) == len(LIBRARY)
    assert all(len(prompt.digest) == 16 for prompt in LIBRARY.values())


def test_the_library_asks_for_english_on_one_line_and_only_clips_have_several_images() -> None:
    for prompt in LIBRARY.values():
        assert "English" in prompt.text or prompt.purpose in ("chart", "document"), prompt.id
        assert "\n" not in prompt.text and prompt.text == prompt.text.strip(), prompt.id
        assert (prompt.max_images > 1) == prompt.purpose.endswith("_frames"), prompt.id


def test_the_structured_prompt_has_a_schema_that_a_good_answer_meets() -> None:
    prompt = LIBRARY["structured-01"]
    schema = json.loads(prompt.json_schema)
    answer = {
        "objects": [{"name": "cup", "count": 2, "colour": "red"}],
        "setting": "a table",
        prompt.caption_field: "c",
    }
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(answer, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"objects": [], "setting": ""}, schema)
    assert list(schema["properties"])[-1] == "caption"  # written last, when the model has listed what there is


def test_a_digest_changes_with_everything_but_the_id(tmp_path: Path) -> None:
    entry = "  {}: {{purpose: {}, text: {!r}, images: {}}}\n"
    rows = [
        ("base", "short", "What is this?", "[1, 1]"),
        ("same", "short", "What is this?", "[1, 1]"),
        ("text", "short", "What is that?", "[1, 1]"),
        ("images", "short", "What is this?", "[1, 2]"),
        ("purpose", "chart", "What is this?", "[1, 1]"),
    ]
    library = load_library([write(tmp_path, "prompts:\n" + "".join(entry.format(*row) for row in rows))])
    assert library["base"].digest == library["same"].digest
    assert len({library[row[0]].digest for row in rows}) == 4
    schema = (
        "  {}: {{purpose: short, text: Hi, caption_field: {}, json_schema: {{properties: {{a: {{}}, b: {{}}}}}}}}\n"
    )
    library = load_library([write(tmp_path, "prompts:\n" + schema.format("x", "a") + schema.format("y", "b"))])
    assert library["x"].digest != library["y"].digest


@cases(
    ("text", "message"),
    [
        ("prompts: {a: {purpose: short, text: 'What is {it}?'}}", r"prompts\.a\.text: .*unknown placeholder \{it\}"),
        ("prompts: {a: {purpose: short, text: 'What is {}?'}}", r"prompts\.a\.text: .*unknown placeholder \{\}"),
        ("prompts: {a: {purpose: short, text: 'Hi <|im_end|>'}}", r"prompts\.a\.text: .*chat template"),
        ("prompts: {a: {purpose: short, text: '<image> Hi'}}", r"prompts\.a\.text: .*chat template"),
        ("prompts: {a: {purpose: short, text: ''}}", r"prompts\.a\.text"),
        ("prompts: {a: {purpose: long, text: Hi}}", r"prompts\.a\.purpose"),
        ("prompts: {a: {purpose: short, txt: Hi}}", r"prompts\.a\.txt: unknown key; did you mean 'text'"),
        ("prompts: {a: {purpose: short, text: Hi, images: [3, 2]}}", r"prompts\.a\.images: .*minimum and the maximum"),
        ("prompts: {a: {purpose: short, text: Hi, images: [0, 2]}}", r"prompts\.a\.images"),
        ("prompts: {a: {purpose: short, text: Hi, caption_field: c}}", r"prompts\.a: .*need each other"),
        ("prompts: {a: {purpose: short, text: Hi, json_schema: {}, caption_field: c}}", r"prompts\.a: .*properties"),
        ("prompts: {short: {purpose: short, text: Hi}}", r"prompts: .*'short' can't be an id"),
        ("prompts: {Big: {purpose: short, text: Hi}}", r"prompts: .*'Big' can't be an id"),
        ("prompts: {short-01: {purpose: short, text: Hi}}", r"prompts\.short-01: .*already, in .*short\.yaml"),
        ("prompts: {a: {purpose: short, text: Hi}, a: {purpose: short, text: Ho}}", "key 'a' twice"),
        ("prompts: {}", "prompts"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_key(tmp_path: Path, text: str, message: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(SettingsError, match=message) as caught:
        load_library([file])
    assert file in str(caught.value)


def test_braces_of_an_example_are_text(tmp_path: Path) -> None:
    file = write(tmp_path, "prompts: {mine: {purpose: short, text: 'Such as {\"a\": 1}. Hint: {context}'}}")
    prompt = load_library([file])["mine"]
    assert prompt.uses_context
    assert render_prompt(prompt, "a {context} of {0} %s") == 'Such as {"a": 1}. Hint: a {context} of {0} %s'


def test_a_purpose_shares_its_weight_among_its_free_text_prompts() -> None:
    chosen = pick({"short": 3.0, "short-01": 1.0, "structured-01": 0.5})
    assert [(prompt.id, weight) for prompt, weight in chosen] == [
        ("short-01", 2.0),
        ("short-02", 1.0),
        ("short-03", 1.0),
        ("structured-01", 0.5),
    ]
    assert {prompt.id for prompt, _ in pick({"detailed": 1.0})} == {f"detailed-0{number}" for number in range(1, 7)}


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_is_a_number_above_0(weight: float) -> None:
    with pytest.raises(ValidationError, match=r"weight of short|prompts.short\n  Input should be a finite number"):
        PromptChoice(prompts={"short": weight})


def test_no_prompts_are_no_choice() -> None:
    with pytest.raises(SettingsError, match="prompts"):
        parse_settings({"prompts": {}}, PromptChoice)


def test_an_unknown_name_and_a_wrong_number_of_images_are_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"prompts\.detialed: neither a purpose \(detailed, .*nor an id \(.*short-01"
    ):
        pick({"detialed": 1.0})
    with pytest.raises(SettingsError, match=r"prompts\.clip_frames: not for 1 image\(s\)"):
        pick({"clip_frames": 1.0})
    with pytest.raises(SettingsError, match=r"prompts\.short: not for 2 to 8 image\(s\)"):
        chosen_prompts(PromptChoice(prompts={"short": 1.0}), images=(2, 8))
    clips = chosen_prompts(PromptChoice(prompts={"clip_frames": 1.0}), images=(2, 8))
    assert len(clips) == 3
    with pytest.raises(SettingsError, match=r"not for 8 image\(s\) .*that are: clip_frames, window_frames$"):
        chosen_prompts(PromptChoice(prompts={"detailed": 1.0}), images=(8, 8))
    with pytest.raises(SettingsError, match=r"not for 2000 image\(s\) .*that are: none"):
        chosen_prompts(PromptChoice(prompts={"clip_frames": 1.0}), images=(2000, 2000))


def test_where_nothing_is_chosen_the_default_is() -> None:
    assert chosen_prompts(PromptChoice()) == pick({"detailed": 1.0})
    clips = chosen_prompts(PromptChoice(), (8, 8), "clip_frames")
    assert clips == chosen_prompts(PromptChoice(prompts={"clip_frames": 1.0}), (8, 8))


def test_only_names_are_checked_without_a_number_of_images(tmp_path: Path) -> None:
    check_prompt_names(PromptChoice())
    check_prompt_names(PromptChoice(prompts={"clip_frames": 1.0, "short-01": 2.0}))
    with pytest.raises(SettingsError, match=r"prompts\.clip_frame: neither a purpose"):
        check_prompt_names(PromptChoice(prompts={"clip_frame": 1.0}))


def test_where_the_files_lie_is_no_part_of_the_choice(tmp_path: Path) -> None:
    file = write(tmp_path, "prompts: {mine: {purpose: short, text: Hi}}")
    choice = PromptChoice(prompts={"mine": 1.0}, files=(file,))
    assert choice.canonical() == {"prompts": {"mine": 1.0}}
    assert [prompt.text for prompt, _ in chosen_prompts(choice)] == ["Hi"]


def test_an_image_has_its_prompt_in_any_order_and_company() -> None:
    prompts, ids = pick({"short": 1.0, "detailed": 1.0}), digests(500)
    has_text = np.arange(500) % 3 == 0
    chosen = choose_prompts(prompts, ids, has_text, seed=7)
    order = np.random.default_rng(0).permutation(500)
    assert np.array_equal(choose_prompts(prompts, [ids[row] for row in order], has_text[order], seed=7), chosen[order])
    for row in range(0, 500, 50):
        assert choose_prompts(prompts, ids[row : row + 1], has_text[row : row + 1], seed=7)[0] == chosen[row]
    assert not np.array_equal(choose_prompts(prompts, ids, has_text, seed=8), chosen)


def test_the_choice_is_the_same_for_ever() -> None:
    """Numbers that a change of the code must not change: captions that exist would be stale."""
    prompts, ids = pick({"short": 1.0, "chart-01": 0.5}), digests(12)
    assert choose_prompts(prompts, ids, np.ones(12, bool), seed=1).tolist() == [3, 3, 2, 0, 2, 1, 0, 2, 3, 2, 0, 1]


def test_prompts_are_drawn_by_weight() -> None:
    prompts = pick({"short-01": 1.0, "short-02": 3.0, "chart-01": 4.0})
    counts = np.bincount(choose_prompts(prompts, digests(20_000), np.ones(20_000, bool), seed=0), minlength=3)
    assert [prompt.id for prompt, _ in prompts] == ["chart-01", "short-01", "short-02"]
    assert counts / 20_000 == pytest.approx([0.5, 0.125, 0.375], abs=0.015)


def test_rows_without_a_text_get_no_prompt_that_needs_one() -> None:
    prompts, has_text = pick({"detailed": 1.0}), np.arange(6000) % 2 == 0
    chosen = choose_prompts(prompts, digests(6000), has_text, seed=0)
    hinted = np.array([prompt.uses_context for prompt, _ in prompts])[chosen]
    assert not hinted[~has_text].any()
    assert hinted[has_text].mean() == pytest.approx(1 / 3, abs=0.03)
    counts = np.bincount(chosen[~has_text], minlength=6)
    assert counts[:4] / 3000 == pytest.approx([0.25] * 4, abs=0.03)


def test_where_all_prompts_need_a_text_others_of_the_purpose_stand_in() -> None:
    prompts, has_text = pick({"detailed-05": 2.0, "detailed-06": 1.0}), np.arange(2000) % 2 == 0
    assert [weight for _, weight in prompts] == [0.0] * 4 + [2.0, 1.0]
    chosen = choose_prompts(prompts, digests(2000), has_text, seed=0)
    assert set(chosen[has_text]) == {4, 5}
    assert set(chosen[~has_text]) == {0, 1, 2, 3}


def test_where_nothing_can_stand_in_the_choice_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "prompts: {pair: {purpose: chart, text: 'Is it {context}?', images: [2, 2]}}")
    with pytest.raises(SettingsError, match=r"all need a row's text \(pair\)"):
        chosen_prompts(PromptChoice(prompts={"pair": 1.0}, files=(file,)), images=(2, 2))
    hinted = [(LIBRARY["detailed-05"], 1.0)]
    with pytest.raises(ValueError, match="rows without a text"):
        choose_prompts(hinted, digests(2), np.array([True, False]), seed=0)
    assert choose_prompts(hinted, digests(2), np.array([True, True]), seed=0).tolist() == [0, 0]


def test_a_new_prompt_moves_only_the_images_that_get_it() -> None:
    ids, has_text = digests(3000), np.ones(3000, bool)
    before, after = pick({"short-01": 1.0, "short-03": 1.0}), pick({"short-01": 1.0, "short-02": 1.0, "short-03": 1.0})
    old = np.array([prompt.id for prompt, _ in before])[choose_prompts(before, ids, has_text, seed=0)]
    new = np.array([prompt.id for prompt, _ in after])[choose_prompts(after, ids, has_text, seed=0)]
    assert set(new[new != old]) == {"short-02"}
    assert (new != old).mean() == pytest.approx(1 / 3, abs=0.03)


def test_no_rows_choose_nothing() -> None:
    assert choose_prompts(pick({"short": 1.0}), [], np.zeros(0, bool), seed=0).tolist() == []
