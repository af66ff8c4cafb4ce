"""Sentences in every language against each language requested, and clauses in another script within a text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from corpus.text.language import LANGUAGES, in_another_language, is_in_another_language
from tests.helpers.cases import cases
from tests.helpers.good_captions import GOOD_CAPTIONS

DOGS = {
    "en": "A brown dog runs along the beach with a stick in its mouth while two boats pass behind it.",
    "de": "Ein brauner Hund läuft mit einem Stock im Maul am Strand entlang, und hinter ihm fahren zwei Boote vorbei.",
    "fr": "Un chien brun court sur la plage avec un bâton dans la gueule et deux bateaux passent derrière lui.",
    "es": "Un perro marrón corre por la playa con un palo en la boca mientras dos barcos pasan detrás de él.",
    "it": "Un cane marrone corre sulla spiaggia con un bastone in bocca mentre due barche passano dietro di lui.",
    "pt": "Um cachorro marrom corre pela praia com um graveto na boca enquanto dois barcos passam atrás dele.",
    "nl": "Een bruine hond rent met een stok in zijn bek over het strand en achter hem varen twee boten voorbij.",
    "sv": "En brun hund springer längs stranden med en pinne i munnen och två båtar passerar bakom den.",
    "da": "En brun hund løber langs stranden med en pind i munden, mens to både sejler forbi bag den på vej hjem.",
    "no": "En brun hund løper langs stranda med en pinne i munnen, mens to båter seiler forbi bak den på vei hjem.",
    "fi": "Ruskea koira juoksee rannalla keppi suussa, ja sen takana kulkee kaksi venettä.",
    "pl": "Brązowy pies biegnie po plaży z patykiem w pysku, a za nim przepływają dwie łodzie i jest słonecznie.",
    "cs": "Hnědý pes běží po pláži s klackem v tlamě a za ním proplouvají dvě lodě, které jsou bílé.",
    "ro": "Un câine maro aleargă pe plajă cu un băț în gură, iar în spatele lui trec două bărci.",
    "hu": "Egy barna kutya szalad a parton bottal a szájában, és mögötte két hajó halad el.",
    "tr": "Ağzında bir sopa olan kahverengi bir köpek sahilde koşuyor ve arkasında iki tekne var.",
    "id": "Seekor anjing cokelat berlari di pantai dengan tongkat di mulutnya dan dua perahu yang lewat di belakang.",
    "vi": "Một con chó màu nâu chạy dọc bãi biển với một cây gậy trong miệng và hai chiếc thuyền phía sau.",
    "zh": "一只棕色的狗叼着一根棍子在沙滩上奔跑，身后有两条船驶过。",
    "ja": "茶色い犬が棒をくわえて砂浜を走り、後ろを二隻の船が通り過ぎる。",
    "ko": "갈색 개가 막대기를 물고 해변을 달리고 뒤로 배 두 척이 지나간다.",
    "ru": "Коричневая собака бежит по пляжу с палкой в зубах, а позади проплывают две лодки.",
    "uk": "Коричневий собака біжить пляжем із палицею в зубах, а позаду пропливають два човни.",
    "bg": "Кафяво куче тича по плажа с пръчка в устата, а зад него минават две лодки.",
    "el": "Ένας καφέ σκύλος τρέχει στην παραλία με ένα ξύλο στο στόμα.",
    "ar": "كلب بني يركض على الشاطئ وفي فمه عصا بينما يمر قاربان خلفه.",
    "fa": "سگی قهوه‌ای با چوبی در دهان کنار ساحل می‌دود و دو قایق از پشت آن می‌گذرند.",
    "he": "כלב חום רץ לאורך החוף עם מקל בפיו ושתי סירות עוברות מאחוריו.",
    "hi": "एक भूरा कुत्ता मुँह में छड़ी लिए समुद्र तट पर दौड़ रहा है।",
    "th": "สุนัขสีน้ำตาลวิ่งไปตามชายหาดโดยคาบไม้ไว้ในปาก",
}


def test_every_language_is_told_from_every_other() -> None:
    assert tuple(DOGS) == LANGUAGES
    sentences = pa.array(list(DOGS.values()))
    wrong = []
    for requested in LANGUAGES:
        foreign = in_another_language(sentences, [requested]).tolist()
        wrong += [(requested, said) for said, other in zip(DOGS, foreign, strict=True) if other != (said != requested)]
    assert wrong == []


SHORT = {
    "en": ["A man sitting at a table in a café.", "a cat asleep on a keyboard", "Why did a dog pass a house?"],
    "de": ["Viele Kinder in langen Mänteln gehen in Reihen.", "Ein Mann springt in die Luft.", "Zwei Hunde im Schnee"],
    "fr": ["Deux chats dorment devant une porte bleue.", "Un homme assis à une table de café"],
    "pt": ["O rapaz está sentado à mesa com a sua avó.", "Duas crianças brincam na areia."],
    "sv": ["En flicka sitter på en bänk i parken."],
    "zh": ["一隻貓坐在窗台上，望著外面的街道。"],
    "ja": ["猫が窓辺に座って、外の通りを眺めています。"],
    "ru": ["Две кошки спят на старом диване."],
    "uk": ["Дві кішки сплять на старому дивані."],
}


def test_short_sentences_are_told_apart() -> None:
    wrong = [
        (requested, text)
        for requested in SHORT
        for language, texts in SHORT.items()
        for text in texts
        if is_in_another_language(text, [requested]) != (language != requested) and len(text) > 25
    ]
    assert wrong == []
    own = [(text, language) for language, texts in SHORT.items() for text in texts]
    assert [text for text, language in own if is_in_another_language(text, [language])] == []


def test_any_of_several_languages_will_do() -> None:
    texts = pa.chunked_array([[DOGS["en"], DOGS["de"]], [DOGS["zh"], DOGS["fr"], DOGS["ru"]]])
    assert in_another_language(texts, ["de", "en", "zh"]).tolist() == [False, False, False, True, True]


@pytest.mark.parametrize(
    "text",
    [
        "The boat rests on the sand. 远处的山上有一座白色的塔，天空很蓝。",
        "A boy in a 红色 coat feeds a 鸽子 on a 广场 in the morning.",
        "The boat rests on the sand. Рядом лежат две пары вёсел. A gull stands on the mast, and the tide is out.",
        "The boat rests on the sand. توجد بجانبه شبكة صيد قديمة. A gull stands on the mast, and the tide is out.",
        "The boat rests on the sand. Δίπλα του στέκεται ένας γέρος ψαράς με καπέλο. A gull stands on the mast.",
        "The boat rests on the sand. 모래 위에 작은 배 한 척이 놓여 있다. A gull stands on the mast.",
        "The boat rests on the sand. ทรายสีขาวทอดยาวไปจนถึงขอบฟ้าและมีนกนางนวลหลายตัว A gull stands on the mast.",
        "The boat rests on the sand. Daneben liegen zwei Ruder und ein altes Netz im Sand. A gull stands on it.",
        "Ein Boot liegt im Sand. 远处的山上有一座白色的塔，天空很蓝。",
        "Meitenei mugurā ir zaļa soma, bet rokās viņa tur lielu sarkanu ābolu, kurš šķiet gatavs.",
    ],
)
def test_a_foreign_clause_within_a_text_is_found(text: str) -> None:
    assert is_in_another_language(text, ["en"])


@cases(
    "text",
    [
        "Paris",
        "5 km",
        "f(x) = αx + β",
        "Le Monde",
        "",
        "pizza margherita",
        "Palacio de la Alhambra, Granada, Andalucía, Spain",
        "Ludwig van Beethoven, oil portrait by Joseph Karl Stieler",
        "A red banner with the characters 恭喜发财 hangs above a door.",
        'A banner reads "远处的山上有一座白色的塔，天空很蓝" in gold.',
        "A poster of Das Boot and one of La Dolce Vita hang side by side in a café in Ciudad de México.",
        'A blackboard with "Das ist ein Haus und das ist kein Haus" in chalk.',
        "A bust of Александр Сергеевич Пушкин stands between two rows of books.",
        "The word 河 means river, and река means the same in Russian, as far as we know.",
        "α, β and γ are the angles of the triangle ΑΒΓ.",
        "𝐁𝐨𝐥𝐝 letters on a box",
    ],
)
def test_english_with_names_quotations_and_signs_passes(text: str) -> None:
    assert not is_in_another_language(text, ["en"])


def test_good_captions_pass() -> None:
    assert [caption for caption in GOOD_CAPTIONS if is_in_another_language(caption, ["en"])] == []


def test_latin_names_in_another_script_pass() -> None:
    texts = {
        "zh": ["一张 Coca-Cola 和 McDonald's 的海报贴在墙上", "用 Python 和 NumPy 计算矩阵的特征值"],
        "ru": ["Автомобиль BMW стоит перед магазином IKEA"],
        "ja": ["12:45", "東京駅"],
        "ko": ["서울역 앞에 서 있는 Hyundai 자동차"],
    }
    refused = [text for language in texts for text in texts[language] if is_in_another_language(text, [language])]
    assert refused == []


def test_fewer_than_twenty_letters_of_the_own_script_have_no_verdict() -> None:
    assert not is_in_another_language("Zwei rote Autos", ["en"])
    assert is_in_another_language("Zwei rote Autos und ein Hund stehen hier", ["en"])


def test_no_texts() -> None:
    assert in_another_language(pa.array([], pa.string()), ["en"]).shape == (0,)
    assert in_another_language(pa.array(["", "the"]), list(LANGUAGES)).dtype == np.bool_


def test_web_addresses_and_latin_names_are_of_no_language() -> None:
    own = {
        "th": "ดูรายละเอียดได้ที่ www.singharacingschoolandmuseum.com/contact-us หรือ info@singharacing-school.co.th",
        "fa": "بهترين مدافعان يا بهترين مهاجمان؟",  # typed with Arabic letters
        "el": "Το Roberto Cavalli Palace Hotel Resort είναι εδώ",
    }
    assert [language for language, text in own.items() if is_in_another_language(text, [language])] == []
    assert is_in_another_language("Table Top Design Company, Phuket", ["th"])
    assert is_in_another_language("القط يجلس على السجادة أمام الباب", ["fa"])


def test_short_english_with_loan_words_is_english() -> None:
    texts = ("a sombrero in a video game.", "a origami Komodo dragon.", "a toy Alaskan tundra wolf.")
    assert [text for text in texts if is_in_another_language(text, ["en"])] == []
    assert is_in_another_language("Zwei Hunde laufen im Schnee.", ["en"])
