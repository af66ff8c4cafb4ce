from __future__ import annotations

from recaption.screening.structured_text import is_structured_text
from tests.helpers.cases import cases
from tests.helpers.good_captions import GOOD_CAPTIONS


@cases(
    "text",
    [
        '{"animal": "goat"}',
        '["goat", "village"]',
        'The answer is {"animal": "goat", "count": 2}',
        "Animal: goat. Number: two. Place: slope.",
        "Animal: goat Number: two; Place: slope; Light: soft; Mood: calm",
        "goat, slope, village, grass, two animals, daylight",
        "goat; slope; village; grass; animals; daylight",
        "1. Two goats 2. A slope 3. A village",
        "• goats • slope • village",
        "#goat #slope #village",
        "goat: 0.97, slope: 0.91, village: 0.55",
        "<item>goat</item>",
        'animal = "goat"',
    ],
)
def test_data(text: str) -> None:
    assert is_structured_text(text)


@cases(
    "text",
    [
        *GOOD_CAPTIONS,
        "Goats, sheep, cows, pigs, hens and a dog in a yard",
        "A clock shows 10:30 and a sign says 'Open: 9, Closed: 5, Lunch: 12'.",
        "Left: a goat. Right: a sheep.",
        "A menu with 1. soup and 2. salad",
        "A #1 jersey and a #2 jersey",
        "Red, white and blue flags",
    ],
)
def test_prose(text: str) -> None:
    assert not is_structured_text(text)
