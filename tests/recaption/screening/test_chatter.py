from __future__ import annotations

import pytest

from recaption.screening.chatter import cut_talk, has_chatter, is_talk, thinks_aloud
from tests.helpers.cases import cases
from tests.helpers.good_captions import GOOD_CAPTIONS

SCENE = "Two goats graze on a steep slope above a village."


@pytest.mark.parametrize(
    "text",
    [
        f"{SCENE} Would you like me to add colours?",
        f"{SCENE} Hope this helps! Let me know.",
        f"Sure! {SCENE} (9 words)",
        f"Thank you for the picture. {SCENE} If you have questions, ask away.",
        f"{SCENE} Note: nothing here is a guess.",
    ],
)
def test_talk_before_and_after_a_caption_is_cut(text: str) -> None:
    assert cut_talk(text) == SCENE


def test_talk_in_other_languages_is_cut() -> None:
    talk = {
        "de": "Lassen Sie mich wissen, ob Sie mehr brauchen.",
        "fr": "Souhaitez-vous une version plus courte ?",
        "pl": "Daj znać, jeśli potrzebujesz więcej.",
        "tr": "Umarım bu yardımcı olur.",
        "uk": "Якщо вам потрібні подробиці, запитайте.",
        "ko": "더 필요한 것이 있으면 알려 주세요.",
        "hi": "आशा है कि यह मदद करेगा।",
    }
    assert [language for language, text in talk.items() if cut_talk(f"{SCENE} {text}") != SCENE] == []


def test_what_is_all_talk_leaves_nothing() -> None:
    assert cut_talk("This description is based on what can be seen.") == ""
    assert cut_talk("Sure! Hope that helps!") == ""


@cases(
    "text",
    [
        *GOOD_CAPTIONS,
        f'{SCENE} A sign beside them asks "Would you like to feed us?"',
        "Thanks to the snow, all roofs are white.",
        "The caption below the cartoon is set in capitals.",
        "A poster with the words 'Let me know' hangs on a door.",
        "A phone with which you can call, as well as send and receive messages.",
        "If it rains, the awning over the stall is rolled out.",
        "A spaghetti squash is cut in half length-wise to reveal its flesh.",
        "A ballpoint pen has a small metal ball at the tip that rotates as you write.",
        "A crash helmet protects your head if you crash your bike.",
        "A radio is a machine that you can use to listen to music.",
        "A fan of the kind that you would use to cool a room stands on a desk.",
        "A few key ingredients can help you to recognise the dish.",
        "A parasol keeps the rain off of you.",
        "When you copy a page, a machine scans it with a light.",
        "This trifle looks delicious! Layers of cake and custard fill a bowl.",
    ],
)
def test_captions_stay(text: str) -> None:
    assert cut_talk(text) == text
    assert not has_chatter(text)


@pytest.mark.parametrize(
    "text",
    [
        f"Okay, so the user wants a short caption. {SCENE}",
        f"Let me look at the picture again. {SCENE}",
        f"{SCENE} Wait, they may be sheep.",
        f"I need to mention the village as well. {SCENE}",
        f"Length-wise, one sentence is enough. {SCENE}",
        f"Der Nutzer möchte eine Beschreibung. {SCENE}",
        f"用户想要一段描述。{SCENE}",
    ],
)
def test_thoughts_are_known(text: str) -> None:
    assert thinks_aloud(text)
    assert has_chatter(text)
    assert not is_talk(SCENE)


def test_a_question_or_a_first_person_anywhere_is_chatter() -> None:
    assert has_chatter(f"{SCENE} Are they sheep? {SCENE}")
    assert has_chatter(f"{SCENE} That is all that I can tell. {SCENE}")
