from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from corpus.text.language import LANGUAGES
from recaption.prompts import load_library
from recaption.screening.screen import REJECT_REASONS, ScreeningSettings, ScreenResult, screen
from tests.helpers import planted_a, planted_b, planted_c, planted_d, planted_e
from tests.helpers.cases import cases
from tests.helpers.good_captions import GOOD_CAPTIONS
from tests.helpers.good_captions_languages import CAPTIONS
from tests.helpers.planted_cases import is_caught, read_cases
from tests.helpers.planted_faults import CHATTER, CUT, DATA, LOOPS, REFUSAL, THINKING, TOKENS
from tests.helpers.planted_later import LATER

LIBRARY = load_library()
ASKED = LIBRARY["detailed-01"].text
DOG = "A brown dog runs along the beach with a stick in its mouth."
BOAT = "Behind it, two boats with white sails cross the bay."


def test_no_rule_fires_on_any_good_caption_whatever_was_asked() -> None:
    assert len(set(GOOD_CAPTIONS)) == len(GOOD_CAPTIONS) >= 120
    fired = {(prompt.id, c): screen(c, "stop", prompt.text) for prompt in LIBRARY.values() for c in GOOD_CAPTIONS}
    assert {key: found for key, found in fired.items() if found != ScreenResult(key[1])} == {}


def test_a_good_caption_that_ended_at_the_limit_stays() -> None:
    whole = [caption for caption in GOOD_CAPTIONS if caption.endswith(".") and len(caption.split()) >= 10]
    fired = {caption: screen(caption, "length") for caption in whole}
    odd = "Temperatures of −4 °C"  # "16.5 K." may be the beginning of a name: J. S. Bach
    assert [c[: len(odd)] for c, found in fired.items() if found != ScreenResult(c)] == [odd]


PLANTED = {
    "empty": ["", "  \n ", "...", '""', "Caption:", "**Caption:**", "Sure, here is a description:", "🐕", "\x00"],
    "cut_off": ["A brown dog runs along the beach and a", "A brown dog,", "The picture shows these things:"],
    "mojibake": [
        "The sign says \ufffd\ufffd\ufffd in large letters above the door.",
        "A man with a \x02\x03\x04 hat stands by the door.",
        "A man with a \ue123\ue124 hat stands by the door.",
    ],
    "refusal": [
        "I'm sorry, but I can't help with identifying people in photos.",
        "As an AI language model, I cannot view pictures. Please describe it to me.",
        "I cannot see the image you mention. Could you upload it again?",
        "I'm unable to view images directly. Here is what you can do:\n- Upload it again\n- Describe it",
    ],
    "chatter": [
        f"{DOG} Would you like to hear more?",
        f"The user wants a caption. {DOG}",
        "Nothing in this description is a guess.",
    ],
    "not_prose": ['{"animal": "dog", "place": "beach"}', "Animal: dog. Place: beach. Weather: sunny."],
    "markup": [
        "# Description\nA dog on a beach with a stick in its mouth.",
        "- A dog on a beach\n- A stick in its mouth\n- Two boats",
        "A dog on a <b>beach</b> with a stick.",
        "A dog on a beach.<|im_end|>",
    ],
    "prompt_echo": [
        "Write one paragraph in English that describes this picture for somebody who has to find it among millions.",
        f"{DOG} Mention only what can be seen: no guesses about feelings, intentions or what happened before.",
        "Begin with the subject itself, not with words.",
    ],
    "repetition": [
        "A dog and a dog and a dog and a dog and a dog and a dog.",
        f"{DOG} {BOAT} {BOAT} {BOAT} {BOAT}",
        f"{DOG} {DOG}",
        "The shelf is full of books, books, books, books, books, books, books, books.",
    ],
    "wrong_language": [
        "Ein brauner Hund läuft mit einem Stock im Maul am Strand entlang.",
        "Un chien brun court sur la plage avec un bâton dans la gueule.",
        "一只棕色的狗叼着一根棍子在沙滩上奔跑。",
        "Коричневая собака бежит по пляжу с палкой в зубах.",
    ],
    "too_short": ["A dog", "Dog.", "Red 5", "**Dog**"],
}


@cases(("reason", "text"), [(reason, text) for reason in PLANTED for text in PLANTED[reason]])
def test_planted_faults(reason: str, text: str) -> None:
    assert screen(text, "stop", ASKED).reject_reason == reason


SWITCHES = {
    "mojibake": ScreeningSettings(mojibake=False),
    "refusal": ScreeningSettings(refusal=False, markup=False, chatter=False),
    "markup": ScreeningSettings(markup=False, not_prose=False),
    "chatter": ScreeningSettings(chatter=False),
    "not_prose": ScreeningSettings(not_prose=False),
    "prompt_echo": ScreeningSettings(prompt_echo_words=0, chatter=False),
    "repetition": ScreeningSettings(phrase_loop_repeats=0, max_repeated_share=1),
    "wrong_language": ScreeningSettings(language=""),
    "too_short": ScreeningSettings(min_words=0),
}


@cases("reason", SWITCHES)
def test_a_rule_that_is_off_doesnt_fire(reason: str) -> None:
    assert {screen(text, "stop", ASKED, SWITCHES[reason]).reject_reason for text in PLANTED[reason]} == {""}


@cases(
    "text",
    [
        f"Sure, here is a description of the image: {DOG}",
        f"Certainly! Here's a detailed caption for the picture:\n\n{DOG}",
        f"Caption: {DOG}",
        f"**Description:** {DOG}",
        f'"{DOG}"',
        f"“{DOG}”",
        f'Here is the caption: "{DOG}"',
        DOG.replace("brown dog", "**brown dog**").replace("beach", "*beach*"),
        f"\n  {DOG.replace(' ', '  ')}\n\n",
        DOG.replace(" with", "\n\nwith\t").replace("stick", "stick\u200b"),
        f"- {DOG}",
        f"# {DOG}",
        f"### {DOG}",
        DOG.replace("stick", "&#115;tick").replace(" dog", "&nbsp;dog"),
    ],
)
def test_repairs_are_no_fault(text: str) -> None:
    assert screen(text, "stop", ASKED) == ScreenResult(DOG)


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("A cafÃ© on a corner with three tables outside.", "A café on a corner with three tables outside."),
        ("Itâ€™s a dog in tall grass.", "It's a dog in tall grass.".replace("'", "’")),
        ("A sign that reads &quot;Out&quot; hangs on a door.", 'A sign that reads "Out" hangs on a door.'),
        ("An R&amp;D lab with &lt;3 on its door.", "An R&D lab with <3 on its door."),
        ('A page shows "&amp;" in large print.', 'A page shows "&amp;" in large print.'),
        ("# 7 is painted on the roof of a blue racing car.", "# 7 is painted on the roof of a blue racing car."),
        ("# is the last key in the bottom row of a phone.", "# is the last key in the bottom row of a phone."),
        ('A wall says "HA HA HA HA HA HA HA HA" in red.', 'A wall says "HA HA HA HA HA HA HA HA" in red.'),
    ],
)
def test_what_can_be_put_right_is_no_fault(text: str, caption: str) -> None:
    assert screen(text) == ScreenResult(caption)


def test_letters_are_composed() -> None:
    assert screen("A cafe\u0301 with three tables").caption == "A caf\u00e9 with three tables"


def test_a_caption_that_was_cut_off_ends_with_its_last_sentence() -> None:
    assert screen(f"{DOG} {BOAT} On the", "length") == ScreenResult(f"{DOG} {BOAT}", "", truncated=True)
    assert screen(f"{DOG} {BOAT}", "length") == ScreenResult(f"{DOG} {BOAT}")
    assert screen(f"{DOG} {BOAT} On the", "stop") == ScreenResult(f"{DOG} {BOAT}", "", truncated=True)
    assert screen(f"{DOG} Two boats with white", "stop") == ScreenResult(DOG, "", truncated=True)
    assert screen(f"{DOG} It stops at pier 3.", "stop") == ScreenResult(f"{DOG} It stops at pier 3.")
    assert screen("Two boats with white sails", "stop") == ScreenResult("Two boats with white sails")
    assert screen(f'"{DOG} {BOAT} On the', "length").reject_reason == "cut_off"  # all of it is in a quotation


@pytest.mark.parametrize(
    "text",
    [
        "A brown dog that runs along the beach with",
        "A portrait of Mr. and Mrs. Smith in front of a house with",
        "Wow. A brown dog that runs along the beach with",
        'The sign reads "No dogs. No bikes. Keep off the',
    ],
)
def test_a_caption_without_a_full_sentence_is_cut_off(text: str) -> None:
    assert screen(text, "length") == ScreenResult(text, "cut_off")


def test_talk_is_refused_or_cut() -> None:
    talk = f"Thanks for the picture! {DOG} Let me know if you need more."
    assert screen(talk).reject_reason == "chatter"
    assert screen(talk, settings=ScreeningSettings(strip_chatter=True)) == ScreenResult(DOG)
    thoughts = f"I should start with the dog. {DOG}"
    assert screen(thoughts, settings=ScreeningSettings(strip_chatter=True)).reject_reason == "chatter"


PLANTED_KINDS = {
    "refusal": REFUSAL,
    "chatter": CHATTER,
    "thinking": {"en": THINKING},
    "not_prose": {"en": DATA},
    "loops": {"en": LOOPS},
    "cut": CUT,
    "tokens": {"en": TOKENS},
}


def test_most_planted_faults_of_every_kind_and_language_are_caught() -> None:
    """Every second one was not looked at while the rules were written: those count for themselves."""
    caught = {"known": [], "held out": []}
    missed = []
    for kind, languages in PLANTED_KINDS.items():
        for language, texts in languages.items():
            for place, text in enumerate(texts):
                screened = screen(text, settings=ScreeningSettings(language=language))
                found = bool(screened.reject_reason) or (kind == "cut" and screened.caption != text)
                caught["held out" if place % 2 else "known"].append(found)
                missed += [] if found else [(kind, language, text)]
    assert len(caught["held out"]) > 100
    assert all(caught["known"]), missed
    assert sum(caught["held out"]) >= 0.95 * len(caught["held out"]), missed


def test_most_of_those_that_were_planted_later_are_caught_too() -> None:
    outcomes = {
        (language, text): screen(text, settings=ScreeningSettings(language=language))
        for language, texts in LATER.items()
        for text in texts
    }
    missed = [key for key, screened in outcomes.items() if not screened.reject_reason and screened.caption == key[1]]
    assert tuple(sorted(LATER)) == tuple(sorted(LANGUAGES))
    assert len(outcomes) > 100
    assert len(missed) <= 0.05 * len(outcomes), missed


def test_the_planted_sets_are_caught_kind_by_kind() -> None:
    """Sets A to E were each measured once before the rules knew them; benchmarks/RESULTS.md has those figures."""
    caught: dict[tuple[str, str], list[bool]] = {}
    missed = []
    tables = {"a": planted_a, "b": planted_b, "c": planted_c, "d": planted_d, "e": planted_e}
    for name, table in tables.items():
        for case in read_cases(table):
            found = is_caught(case)
            caught.setdefault((name, case.kind), []).append(found)
            missed += [] if found else [(name, case.kind, case.language, case.text)]
    assert {key: sum(found) for key, found in caught.items() if sum(found) < 0.9 * len(found)} == {}, missed
    for table in tables:
        found = [each for (name, _), some in caught.items() if name == table for each in some]
        assert len(found) > (350 if table != "e" else 230)  # E has four of the kinds
        assert sum(found) >= 0.95 * len(found), missed


def test_every_kind_is_planted_in_every_language_that_matters() -> None:
    spoken = {kind: set() for kind in planted_a.KINDS}
    for table in (planted_a, planted_b, planted_c, planted_d, planted_e):
        for case in read_cases(table):
            spoken[case.kind].add(case.language)
    assert {kind: set(LANGUAGES) - spoken[kind] for kind in ("refusals", "thoughts", "talk", "cut")} == {
        kind: set() for kind in ("refusals", "thoughts", "talk", "cut")
    }


def test_no_rule_fires_on_good_captions_in_any_language() -> None:
    assert {language for language, _ in CAPTIONS} == set(LANGUAGES)
    assert len(CAPTIONS) > 350
    fired = {
        text: screened
        for language, text in CAPTIONS
        if (screened := screen(text, settings=ScreeningSettings(language=language))) != ScreenResult(text)
    }
    assert fired == {}


GOOD_ELSEWHERE = {
    "de": "Ein Hund liegt auf einem Teppich, und neben ihm steht ein leerer Napf.",
    "fr": "Le bras droit de la statue n'est pas visible, car une branche le cache.",
    "es": "No hay nadie en la plaza. Una fuente ocupa el centro de la imagen.",
    "pt": "A foto mostra um barco que não tem velas, junto a um cais vazio.",
    "pl": "Na zdjęciu nie ma ludzi, a za płotem stoi stary rower.",
    "ru": "На фото не видно людей, только старая лодка лежит на песке.",
    "uk": "На фото можна побачити човен, а людей поруч не видно.",
    "zh": "图片中没有人物，我们可以看到一条小船停在岸边。",
    "ja": "画像には人物が写っていないが、岸辺に小さな船がある。",
    "ko": "사진에는 사람이 없고 강가에 작은 배가 있다.",
    "tr": "Fotoğrafta kimse yok, kıyıda eski bir tekne duruyor.",
    "vi": "Một em bé không đội mũ ngồi trên bãi cát cạnh chiếc thuyền.",
    "ar": "لا يوجد أشخاص في الصورة، وهناك قارب قديم على الرمال.",
    "hi": "तस्वीर में कोई व्यक्ति नहीं है, किनारे पर एक पुरानी नाव है।",
}


def test_negations_in_captions_are_no_refusals() -> None:
    screened = {
        language: screen(text, settings=ScreeningSettings(language=language))
        for language, text in GOOD_ELSEWHERE.items()
    }
    assert {
        language: each for language, each in screened.items() if each != ScreenResult(GOOD_ELSEWHERE[language])
    } == {}


def test_a_refusal_is_known_in_every_language_that_can_be_requested() -> None:
    assert tuple(sorted(REFUSAL)) == tuple(sorted(LANGUAGES))
    found = {
        language: {screen(text, settings=ScreeningSettings(language=language)).reject_reason for text in texts}
        for language, texts in REFUSAL.items()
    }
    assert {language: reasons for language, reasons in found.items() if reasons != {"refusal"}} == {}


def test_cutting_back_can_be_refused_or_made_easier() -> None:
    assert (
        screen(f"{DOG} On the", "length", "", ScreeningSettings(truncate_to_sentence=False)).reject_reason == "cut_off"
    )
    short = "Two dogs. A brown one that runs along the"
    assert screen(short, "length").reject_reason == "cut_off"
    eased = ScreeningSettings(min_sentence_words=2, min_words=2)
    assert screen(short, "length", "", eased) == ScreenResult("Two dogs.", "", truncated=True)
    assert screen(short, "length", "", ScreeningSettings(min_sentence_words=2)).reject_reason == "too_short"


def test_a_loop_that_ran_into_the_limit_is_a_repetition() -> None:
    assert screen(f"{DOG} " + "The dog is brown and " * 8, "length").reject_reason == "repetition"
    assert screen("a dog, a cat, " * 20, "length").reject_reason == "repetition"


def test_the_hint_is_no_part_of_the_prompt() -> None:
    copied = "use a name or a term from that text only where the picture agrees"
    assert screen(copied, "stop", LIBRARY["detailed-05"].text).reject_reason == "prompt_echo"
    assert (
        screen("Golden Gate Bridge at sunset from Baker Beach", "stop", LIBRARY["detailed-05"].text).reject_reason == ""
    )


def answer(caption: object) -> str:
    return json.dumps({"objects": [], "setting": "a beach", "caption": caption})


@pytest.mark.parametrize(
    ("text", "screened"),
    [
        (answer(DOG), ScreenResult(DOG)),
        (f"```json\n{answer(DOG)}\n```", ScreenResult(DOG)),
        (answer(f"Caption: {DOG}\n"), ScreenResult(DOG)),
        (answer(""), ScreenResult("", "empty")),
        (answer("A dog"), ScreenResult("A dog", "too_short")),
        (answer("I'm sorry, I can't see it."), ScreenResult("I'm sorry, I can't see it.", "refusal")),
        ('{"caption": "A \\ud800 dog in grass"}', ScreenResult("A dog in grass", "mojibake")),
    ],
)
def test_a_structured_answer(text: str, screened: ScreenResult) -> None:
    assert screen(text, "stop", ASKED, caption_field="caption") == screened


@cases(
    "text",
    [DOG, "", "{", "[]", '"a"', "null", '{"a": 1}', answer(None), answer(5), answer([DOG]), "[" * 5000, "1" * 5000],
)
def test_what_is_no_structured_answer(text: str) -> None:
    assert screen(text, "stop", ASKED, caption_field="caption").reject_reason == "bad_json"
    assert screen(text, "length", ASKED, caption_field="caption").reject_reason == "cut_off"


def test_a_structured_answer_that_parses_was_not_cut_off() -> None:
    assert screen(answer("A brown dog on a beach"), "length", caption_field="caption").reject_reason == ""


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValidationError, match="unknown language; known are en, de"):
        ScreeningSettings(language="english")


MARKS = ["**", "*", "`", '"', "“", "”", "'", "Caption: ", "Sure! ", "Here is a caption: ", "- ", "# ", "<b>", "<|x|>"]
TEXT = [
    "\n",
    " ",
    ". ",
    "Mr. ",
    "A dog",
    " sits on",
    " the grass",
    "Two red",
    "é",
    "e\u0301",
    "\u200b",
    "\x07",
    "(",
    ")",
]
PIECES = st.sampled_from([*MARKS, *TEXT, "7", "犬"])
TEXTS = st.text() | st.lists(PIECES, max_size=30).map("".join) | st.text(st.characters(codec=None), max_size=40)


@settings(max_examples=300)
@given(TEXTS, st.sampled_from(["stop", "length"]), st.sampled_from(["", "caption"]))
def test_any_text_is_screened_to_one_clean_line_that_stays(text: str, finish_reason: str, field: str) -> None:
    for raw in {text, json.dumps({"caption": text})} if field else {text}:
        caption, reason, _ = screen(raw, finish_reason, ASKED, caption_field=field)
        assert reason in ("", *REJECT_REASONS)
        assert not any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Zl", "Zp") for char in caption)
        assert caption == " ".join(caption.split()) == unicodedata.normalize("NFC", caption)
        if not reason:
            assert screen(caption, "stop", ASKED) == ScreenResult(caption)


@given(st.lists(st.sampled_from(GOOD_CAPTIONS), min_size=2, max_size=4, unique=True), st.integers(0, 60))
def test_cutting_back_leaves_a_beginning_of_whole_sentences(captions: list[str], lost: int) -> None:
    text = " ".join(captions)
    found = screen(text[: len(text) - lost], "length", "", ScreeningSettings(language="", max_repeated_share=1))
    assert text.startswith(found.caption) or (found.reject_reason == "" and found.caption in text)
    if found.truncated:
        assert found.caption.rstrip("\"”’')]»")[-1] in ".!?…"


def test_hostile_answers_come_to_an_end() -> None:
    pieces = ["\n", "?", "my ", "the image not ", "“", '"a" ', "key: ", "#", "<a ", "A B ", "I ", "..."]
    pieces += ["我没有", "(", "1 ", "'", "image' "]
    for piece in pieces:
        text = f"A dog. {piece * (16_000 // len(piece))} x"
        assert len(screen(text).caption) <= len(text)
