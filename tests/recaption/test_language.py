from __future__ import annotations

import pytest
from good_captions import GOOD_CAPTIONS

from recaption.language import LANGUAGES, in_another_language

DOGS = {
    "en": "A brown dog runs along the beach with a stick in its mouth while two boats pass behind it.",
    "de": "Ein brauner Hund läuft mit einem Stock im Maul am Strand entlang, und hinter ihm fahren zwei Boote vorbei.",
    "fr": "Un chien brun court sur la plage avec un bâton dans la gueule et deux bateaux passent derrière lui.",
    "es": "Un perro marrón corre por la playa con un palo en la boca mientras dos barcos pasan detrás de él.",
    "it": "Un cane marrone corre sulla spiaggia con un bastone in bocca mentre due barche passano dietro di lui.",
    "pt": "Um cachorro marrom corre pela praia com um graveto na boca enquanto dois barcos passam atrás dele.",
    "nl": "Een bruine hond rent met een stok in zijn bek over het strand en achter hem varen twee boten voorbij.",
    "sv": "En brun hund springer längs stranden med en pinne i munnen och två båtar passerar bakom den.",
    "pl": "Brązowy pies biegnie po plaży z patykiem w pysku, a za nim przepływają dwie łodzie i jest słonecznie.",
    "cs": "Hnědý pes běží po pláži s klackem v tlamě a za ním proplouvají dvě lodě, které jsou bílé.",
    "fi": "Ruskea koira juoksee rannalla keppi suussa ja kaksi venettä on sen takana, joka on myös sininen.",
    "tr": "Ağzında bir sopa olan kahverengi bir köpek sahilde koşuyor ve arkasında iki tekne var.",
    "id": "Seekor anjing cokelat berlari di pantai dengan tongkat di mulutnya dan dua perahu yang lewat di belakang.",
    "vi": "Một con chó màu nâu chạy dọc bãi biển với một cây gậy trong miệng và hai chiếc thuyền phía sau.",
    "zh": "一只棕色的狗叼着一根棍子在沙滩上奔跑，身后有两条船驶过。",
    "ja": "茶色い犬が棒をくわえて砂浜を走り、後ろを二隻の船が通り過ぎる。",
    "ko": "갈색 개가 막대기를 물고 해변을 달리고 뒤로 배 두 척이 지나간다.",
    "ru": "Коричневая собака бежит по пляжу с палкой в зубах, а позади проплывают две лодки.",
    "el": "Ένας καφέ σκύλος τρέχει στην παραλία με ένα ξύλο στο στόμα.",
    "ar": "كلب بني يركض على الشاطئ وفي فمه عصا بينما يمر قاربان خلفه.",
    "he": "כלב חום רץ לאורך החוף עם מקל בפיו ושתי סירות עוברות מאחוריו.",
    "hi": "एक भूरा कुत्ता मुँह में छड़ी लिए समुद्र तट पर दौड़ रहा है।",
    "th": "สุนัขสีน้ำตาลวิ่งไปตามชายหาดโดยคาบไม้ไว้ในปาก",
}
# What a stop word or a script can't tell apart.
KIN = [{"sv", "da", "no"}, {"zh", "ja"}, {"ru", "uk", "bg"}, {"ar", "fa"}]


def other(text: str, language: str = "en") -> bool:
    return in_another_language(text, language, 0.2)


@pytest.mark.parametrize("spoken", DOGS)
@pytest.mark.parametrize("wanted", LANGUAGES)
def test_every_language_is_told_from_every_other(wanted: str, spoken: str) -> None:
    if wanted == spoken or not any({wanted, spoken} <= kin for kin in KIN):
        assert other(DOGS[spoken], wanted) == (wanted != spoken)


@pytest.mark.parametrize(
    "text",
    [
        "Ein Hund auf der Wiese vor einem Haus.",
        "El gato está en la mesa de la cocina.",
        "A dog 在草地上跑步，旁边有一棵大树和一条小河，天空很蓝。",
        "The cat sleeps. 右边有一个穿红衣服的女人，左边有一只黑色的猫在睡觉，天气很好。",
        "Kosmetyczka z nadrukiem, która jest na stole obok okna i nie jest zamknięta.",
        "Meitenei mugurā ir zaļa soma, bet rokās viņa tur lielu sarkanu ābolu, kurš šķiet gatavs.",  # not in the list
    ],
)
def test_captions_in_another_language_than_english(text: str) -> None:
    assert other(text)


@pytest.mark.parametrize(
    "text",
    [
        *(caption for caption in GOOD_CAPTIONS if not caption.isascii()),
        "Palacio de la Alhambra, Granada",
        "Notre-Dame de la Garde, Marseille",
        "Four men, three women, two dogs, one bicycle",
        'A blackboard with "Das ist ein Haus und das ist kein Haus" in chalk.',
        "A poster of La Casa de las Flores on the wall of a café in Ciudad de México.",
        "α, β and γ are the angles of the triangle ΑΒΓ.",
        "𝐁𝐨𝐥𝐝 letters on a box",
        "",
    ],
)
def test_english_with_names_quotations_and_signs(text: str) -> None:
    assert not other(text)


def test_latin_names_in_another_script_pass() -> None:
    assert not other("一张 Coca-Cola 和 McDonald's 的海报贴在墙上", "zh")
    assert not other("Автомобиль BMW стоит перед магазином IKEA", "ru")
    assert not other("12:45", "ja")
