"""Texts in many languages, against each language asked for."""

import numpy as np
import pyarrow as pa
import pytest

from filters.text_language import LANGUAGES, in_another_language

SAID = {
    "en": "The river flows through the city and it is one of the longest in the country.",
    "de": "Der Fluss fließt durch die Stadt und ist einer der längsten des Landes, das man kennt.",
    "fr": "Le fleuve traverse la ville et il est un des plus longs du pays qui le borde.",
    "es": "El río pasa por la ciudad y es uno de los más largos del país que lo rodea.",
    "it": "Il fiume passa per la città ed è uno dei più lunghi del paese che lo circonda.",
    "pt": "O rio passa pela cidade e é um dos mais longos do país que não tem mar.",
    "nl": "De rivier stroomt door de stad en is een van de langste van het land dat zij voedt.",
    "pl": "Rzeka płynie przez miasto i jest jedną z najdłuższych w kraju, który się do niej przyznaje.",
    "sv": "Floden rinner genom staden och är en av de längsta i landet som den har gett namn till.",
    "tr": "Nehir şehrin içinden akar ve ülkenin en uzun nehirlerinden biri olarak bilinir, çok da güzel.",
    "id": "Sungai itu mengalir melalui kota dan adalah salah satu yang terpanjang di negara ini.",
    "vi": "Dòng sông chảy qua thành phố và là một trong những con sông dài của đất nước này.",
    "zh": "这条河流经这座城市，是全国最长的河流之一。",
    "ja": "その川は街を流れ、国で最も長い川の一つです。",
    "ko": "그 강은 도시를 지나 흐르며 나라에서 가장 긴 강 가운데 하나이다.",
    "ru": "Река течёт через город и является одной из самых длинных в стране.",
    "el": "Ο ποταμός διασχίζει την πόλη και είναι από τους μεγαλύτερους της χώρας.",
    "ar": "يمر النهر عبر المدينة وهو من أطول الأنهار في البلاد.",
    "he": "הנהר זורם דרך העיר והוא מהארוכים במדינה.",
    "hi": "नदी शहर से होकर बहती है और देश की सबसे लंबी नदियों में से एक है।",
    "th": "แม่น้ำไหลผ่านเมืองและเป็นหนึ่งในแม่น้ำที่ยาวที่สุดของประเทศ",
}
# What a Japanese text may do without, another one cannot be told by; scripts that several languages share.
NOT_TOLD = {("ja", "zh"), ("uk", "ru"), ("bg", "ru"), ("fa", "ar")}


@pytest.mark.parametrize("language", LANGUAGES)
def test_running_text_passes_in_its_own_language_and_in_no_other(language):
    elsewhere = in_another_language(pa.array(list(SAID.values())), [language])
    passing = {said for said, wrong in zip(SAID, elsewhere.tolist(), strict=True) if not wrong}
    assert passing == ({language} & set(SAID)) | {said for asked, said in NOT_TOLD if asked == language}


def test_any_of_several_languages_will_do():
    texts = pa.array([SAID["en"], SAID["de"], SAID["zh"], SAID["fr"], SAID["ru"]])
    assert in_another_language(texts, ["de", "en", "zh"]).tolist() == [False, False, False, True, True]


def test_what_speaks_for_no_language_passes():
    texts = ["Paris", "Ludwig van Beethoven", "5 km", "pizza margherita", "f(x) = αx + β", "Le Monde", "de facto", ""]
    assert not in_another_language(pa.array(texts), ["en"]).any()
    mixed = "The word 河 means river, and река means the same in Russian, as far as we know."
    assert not in_another_language(pa.array([mixed]), ["en"]).any()
    assert not in_another_language(pa.array(["用 Python 和 NumPy 计算矩阵的特征值"]), ["zh"]).any()


def test_no_texts():
    assert in_another_language(pa.array([], pa.string()), ["en"]).shape == (0,)
    assert in_another_language(pa.array(["", "the"]), list(LANGUAGES)).dtype == np.bool_
