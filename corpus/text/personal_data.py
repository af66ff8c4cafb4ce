"""Masks personal data in texts: e-mail addresses, telephone numbers, IP addresses, numbers of cards and bank accounts.

Each is replaced by a mask such as `<email>`. What has a checksum must pass it (cards: Luhn; accounts: ISO 13616), so
that a serial number stays. Telephone numbers are found by libphonenumber (package `phonenumbers`), which knows the
valid ones of each country: without a country's code they are looked for in `phone_regions` alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from ipaddress import ip_address

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from corpus.arrays import one_array
from corpus.settings import Settings


class PersonalData(StrEnum):
    """The kinds of personal data that can be masked; the mask of each is its name in angle brackets."""

    EMAIL = "email"
    IBAN = "iban"
    CREDIT_CARD = "credit_card"
    IP_ADDRESS = "ip_address"
    PHONE = "phone"


PHONE_REGIONS = ("US", "GB", "DE", "FR")


class MaskSettings(Settings):
    """Settings of masking personal data in texts."""

    kinds: tuple[PersonalData, ...] = Field(
        (),
        description="What is masked: email, iban, credit_card, ip_address, phone (extra `personal-data`); empty masks "
        "nothing.",
    )
    phone_regions: tuple[str, ...] = Field(
        PHONE_REGIONS,
        description="The countries, ISO 3166 codes, whose telephone numbers are masked without a country's code; those "
        "with one always are.",
    )

    @field_validator("phone_regions")
    @classmethod
    def _are_codes(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [region for region in regions if not re.fullmatch("[A-Z]{2}", region)]:
            raise ValueError(f"no ISO 3166 codes: {', '.join(wrong)}")
        return regions

    def apply(self, texts: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, dict[str, int]]:
        """Returns the texts with masks, and how many of each kind were masked."""
        return mask_personal_data(texts, self.kinds, self.phone_regions)


# An @ may be written out, as people do against robots: "jane (at) example (dot) org".
_AT = r"(?:@|＠|\s?[\[({]\s?(?:at|@)\s?[\])}]\s?)"
_DOT = r"(?:\.|\s?[\[({]\s?(?:dot|\.)\s?[\])}]\s?)"
_EMAIL = re.compile(
    rf"(?<![\w.+%-])[\w.!#$%&'*+/=?^`{{|}}~-]{{0,63}}[\w+%-]{_AT}(?:[^\W_](?:[\w-]{{0,61}}[^\W_])?{_DOT}){{1,8}}[^\W\d_]{{2,24}}(?![\w-])",
    re.IGNORECASE,
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?![A-Za-z0-9])")
_CARD = re.compile(r"(?<![\d.,-])(?:\d[ -]?){12,18}\d(?![\d.,]?\d)")
_IP4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)")
_IP6 = re.compile(r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:(?:\.\d{1,3}){3})?(?![0-9A-Za-z:])")
# Which texts may have one at all, for Arrow: a superset.
_SUSPECTS = {
    PersonalData.EMAIL: r"(?i)[@＠]|[\[({]\s?at\s?[\])}]",
    PersonalData.IBAN: r"[A-Z]{2}\d{2}",
    PersonalData.CREDIT_CARD: r"(?:\d[ -]?){13}",
    PersonalData.IP_ADDRESS: r"\d\.\d{1,3}\.\d{1,3}\.\d|[0-9A-Fa-f]?:[0-9A-Fa-f]{0,4}:",
    PersonalData.PHONE: r"(?:\d\D{0,4}){6}\d",
}


def mask_personal_data(
    texts: pa.Array | pa.ChunkedArray, kinds: Sequence[PersonalData], phone_regions: Sequence[str] = PHONE_REGIONS
) -> tuple[pa.Array, dict[str, int]]:
    """Returns the texts with masks in place of personal data of some kinds, and how many of each kind were masked.

    Nulls stay. Masking again changes nothing.
    """
    texts = one_array(texts)
    counts: Counter[str] = Counter()
    for kind in PersonalData:  # in this order: what has a checksum before telephone numbers
        if kind in kinds:
            suspect = pc.fill_null(pc.match_substring_regex(texts, _SUSPECTS[kind]), False)
            places = np.flatnonzero(suspect.to_numpy(zero_copy_only=False))
            texts = _masked(texts, places, _FINDERS[kind](tuple(phone_regions)), kind, counts)
    return texts, dict(counts)


Ranges = list[tuple[int, int]]  # start and stop of what is masked, ascending
_Finder = Callable[[str], Ranges]


def _masked(texts: pa.Array, places: np.ndarray, find: _Finder, kind: PersonalData, counts: Counter[str]) -> pa.Array:
    if not len(places):
        return texts
    replaced = []
    for text in texts.take(pa.array(places)).to_pylist():
        parts, end = [], 0
        for start, stop in find(text):
            parts += [text[end:start], f"<{kind}>"]
            end = stop
            counts[str(kind)] += 1
        replaced.append("".join([*parts, text[end:]]))
    mask = np.zeros(len(texts), dtype=bool)
    mask[places] = True
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(replaced, texts.type))


def _matches(pattern: re.Pattern[str], is_valid: Callable[[str], bool]) -> _Finder:
    return lambda text: [match.span() for match in pattern.finditer(text) if is_valid(match.group())]


def _is_card(text: str) -> bool:
    """Returns whether the digits are those of a card: 13 to 19, by the formula of Luhn (ISO/IEC 7812-1)."""
    digits = [int(each) for each in text if each.isdigit()]
    doubled = [digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits))]
    return len(set(digits)) > 1 and digits[0] in (2, 3, 4, 5, 6) and sum(doubled) % 10 == 0


def _ibans(text: str) -> Ranges:
    """Returns where account numbers are: the longest run of blocks after the country that passes the checksum."""
    found = []
    for match in _IBAN.finditer(text):
        stops = [match.end(), *(match.start() + at for at, each in enumerate(match.group()) if each == " ")]
        for stop in sorted(set(stops), reverse=True):
            if _is_iban(text[match.start() : stop]):
                found.append((match.start(), stop))
                break
    return found


def _is_iban(text: str) -> bool:
    """Returns whether a text is the number of an account: its digits, letters from 10 on, are 1 modulo 97."""
    bare = text.replace(" ", "")
    number = "".join(str(int(each, 36)) for each in bare[4:] + bare[:4])
    return 15 <= len(bare) <= 34 and int(number) % 97 == 1


def _addresses(text: str) -> Ranges:
    """Returns where IP addresses are that name a machine: not 1.2.3.4 as a version of four small numbers, nor `::`."""
    return _apart(
        match.span() for pattern in (_IP4, _IP6) for match in pattern.finditer(text) if _is_address(match.group())
    )


def _apart(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Returns the ranges in ascending order, without those that overlap one before; of equal starts the longest."""
    found: Ranges = []
    for start, stop in sorted(ranges, key=lambda each: (each[0], -each[1])):
        if not found or start >= found[-1][1]:
            found.append((start, stop))
    return found


def _is_address(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if address.version == 6:
        return sum(map(str.isalnum, text)) >= 4
    return max(address.packed) > 31  # 2.0.12.1 is a version


def _phones(regions: tuple[str, ...]) -> _Finder:
    try:
        from phonenumbers import PhoneNumberMatcher
    except ImportError as error:
        raise ModuleNotFoundError(
            'masking telephone numbers needs the package phonenumbers: pip install "rzen-corpus[personal-data]"'
        ) from error

    def find(text: str) -> Ranges:
        return _apart((match.start, match.end) for region in regions for match in PhoneNumberMatcher(text, region))

    return find


_FINDERS: dict[PersonalData, Callable[[tuple[str, ...]], _Finder]] = {
    PersonalData.EMAIL: lambda regions: _matches(_EMAIL, lambda text: True),
    PersonalData.IBAN: lambda regions: _ibans,
    PersonalData.CREDIT_CARD: lambda regions: _matches(_CARD, _is_card),
    PersonalData.IP_ADDRESS: lambda regions: _addresses,
    PersonalData.PHONE: _phones,
}
