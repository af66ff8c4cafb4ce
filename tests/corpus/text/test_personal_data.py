"""Personal data: the recall on planted ones of each kind, and what only looks like them."""

from __future__ import annotations

import pyarrow as pa

from corpus.text.personal_data import PersonalData, mask_personal_data
from tests.helpers.extras import installed_or_skip

PLANTED = {
    PersonalData.EMAIL: (
        "jane.doe@example.com",
        "JANE_DOE+shop@mail.example.co.uk",
        "o'neil@example.ie",
        "info@sub-domain.example.museum",
        "jane (at) example (dot) org",
        "jane[at]example.org",
        "münchen@beispiel.de",
        "user%host@example.net",
        "a@b.io",
        "1234567@example.com",
    ),
    PersonalData.IBAN: (
        "DE89 3704 0044 0532 0130 00",
        "GB82WEST12345698765432",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NL91ABNA0417164300",
        "CH93 0076 2011 6238 5295 7",
    ),
    PersonalData.CREDIT_CARD: (
        "4111 1111 1111 1111",
        "5500-0055-5555-5559",
        "378282246310005",
        "6011111111111117",
        "4222222222222",
    ),
    PersonalData.IP_ADDRESS: (
        "192.168.1.17",
        "93.184.216.34",
        "2001:db8:85a3::8a2e:370:7334",
        "fe80::1ff:fe23:4567:890a",
        "::ffff:192.0.2.128",
    ),
    PersonalData.PHONE: (
        "+1 650-253-0000",
        "(650) 253-0000",
        "650.253.0000",
        "+44 20 7031 3000",
        "020 7031 3000",
        "+49 30 901820",
        "030 901820",
        "+33 1 42 68 53 00",
        "01 42 68 53 00",
        "+81 3-6384-9000",
        "+91 80 6721 8000",
        "0049 30 901820",
    ),
}
NEITHER = (
    "The @ sign of a keyboard",
    "follow @jane on the web",
    "version 1.2.3.4 of the program",
    "a ratio of 16:9 at 12:30:45",
    "order number 4111 1111 1111 1112",
    "1111111111111111",
    "born in 1984, died in 2011",
    "ISBN 978-3-16-148410-0",
    "DE89 3704 0044 0532 0130 01",
    "a 1920x1080 picture, 300 dpi, f/2.8, 1/250 s",
    "10,000,000 people on 12/03/2020",
    "std::vector and C++",
    "price $1,234,567.89",
)


def masked(texts: list[str], *kinds: PersonalData) -> list[str]:
    return mask_personal_data(pa.array(texts), kinds or tuple(PersonalData))[0].to_pylist()


def test_all_planted_data_of_each_kind_are_masked_as_the_docs_say() -> None:
    installed_or_skip("phonenumbers")
    missed = []
    for kind, planted in PLANTED.items():
        found = masked([f"Please write to {each}, or not." for each in planted], kind)
        expected = f"Please write to <{kind}>, or not."
        missed += [each for each, text in zip(planted, found, strict=True) if text != expected]
    assert missed == []
    assert {kind: len(planted) for kind, planted in PLANTED.items()} == {
        PersonalData.EMAIL: 10,
        PersonalData.IBAN: 5,
        PersonalData.CREDIT_CARD: 5,
        PersonalData.IP_ADDRESS: 5,
        PersonalData.PHONE: 12,
    }


def test_what_only_looks_like_it_stays() -> None:
    installed_or_skip("phonenumbers")
    assert {text: found for text, found in zip(NEITHER, masked(list(NEITHER)), strict=True) if found != text} == {}


def test_kinds_are_masked_on_request_and_counted_and_nulls_stay() -> None:
    texts = pa.chunked_array([["a@b.io and c@d.org", None], ["IP 93.184.216.34 of e@f.net", "nothing"]])
    found, counts = mask_personal_data(texts, [PersonalData.EMAIL])
    assert found.to_pylist() == ["<email> and <email>", None, "IP 93.184.216.34 of <email>", "nothing"]
    assert counts == {"email": 3}
    both, counts = mask_personal_data(texts, [PersonalData.IP_ADDRESS, PersonalData.EMAIL])
    assert both.to_pylist()[2] == "IP <ip_address> of <email>" and counts == {"email": 3, "ip_address": 1}
    again, counts = mask_personal_data(both, [PersonalData.IP_ADDRESS, PersonalData.EMAIL])
    assert again.equals(both) and counts == {}
    assert mask_personal_data(texts, [])[0].to_pylist() == texts.to_pylist()
