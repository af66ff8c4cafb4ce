"""The texts that `benchmarks.judging` plants: good ones of several kinds, and faults in several strengths.

Good texts come with two packages, of which only the data is read (see `benchmarks.languages`): descriptions of
ImageNet's classes by a language model and short captions from clip-benchmark, sentences of web pages from eld. The
others are written here: good ones that look bad, and the alt texts that the web's images have instead of a description.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpus.text.scripts import letter_weight

GOOD = "good"
SYMBOLS = "★☆►▼●■♦|/\\<>=+*#%$&~^_-.,:;!?()[]{}@"

DIFFICULT = (
    "Canon EOS 5D Mark IV DSLR camera, 30.4 MP, with a 24-105 mm f/4 lens",
    "C++ vs. C#: 5 differences (2024 edition)",
    "Happy 30th birthday!!! 🎉🎂🎈",
    "iPhone 15 Pro Max - 256 GB - blue titanium",
    'A sign reads "NO ENTRY - 24/7" (in red & white)',
    "Manchester United 3-2 Arsenal, 90+4'",
    "E = mc², written on a blackboard",
    "Boeing 747-8F N850GT at KJFK, runway 31L",
    "row, row, row your boat, gently down the stream",
    "New York, New York: the skyline at night",
    "Mercedes-Benz C 220 d 4MATIC (W205), 2014-2021",
    "1/2 cup of sugar, 3/4 cup of milk, 2 eggs",
    "The band Duran Duran on stage in Baden-Baden",
    "Crème brûlée with a café au lait, Rue de l'Université, Paris",
    "Buffalo buffalo on a prairie near Walla Walla, Washington",
    "Table 2: mean (SD) of age, 45.3 (12.1), and of BMI, 27.4 (4.8)",
    "Vitamin B12 (C63H88CoN14O14P), ball-and-stick model",
    "Dr. Martin Luther King, Jr. & Mrs. Coretta Scott King, c. 1964",
    "f(x) = x^2 - 4x + 3, plotted for -1 <= x <= 5",
    "a red bus",
    "the Eiffel Tower",
)

Data = dict[str, list[str]]  # texts by kind


@dataclass(frozen=True)
class PlantedText:
    """A text with its truth."""

    text: str
    fault: str  # GOOD, or the name of a judge
    strength: str  # of the fault, or the kind of a good text


def read_texts(packages: Path) -> tuple[Data, Data]:
    """Returns good English texts by kind, and foreign ones by kind, from the folder in which packages are installed."""
    folder = packages / "clip_benchmark" / "datasets"
    described = json.loads((folder / "cupl_prompts.json").read_text(encoding="utf-8"))["imagenet1k"]
    templates = json.loads((folder / "nllb_dist13b_prompts.json").read_text(encoding="utf-8"))
    names = json.loads((folder / "babel_imagenet.json").read_text(encoding="utf-8"))
    sentences = defaultdict(list)
    for line in (packages / "eld/tests/data/big-test.txt").read_text(encoding="utf-8").splitlines():
        language, _, text = line.partition("\t")
        sentences[language].append(text.strip())
    english = {
        "description": sorted({text.strip() for texts in described.values() for text in texts}),
        "web sentence": sentences["en"],
    }
    foreign = {f"sentence, {language}": texts for language, texts in sentences.items() if language != "en"}
    for code in sorted(templates.keys() & names.keys() - {"EN"}):
        foreign[f"caption, {code.lower()}"] = [
            template.replace("{}", name) for template, name in zip(templates[code], names[code][1], strict=False)
        ]
    # Shorter ones are names and loan words in any language.
    long = {kind: [text for text in texts if letter_weight(text) >= 20] for kind, texts in foreign.items()}
    return english, {kind: texts for kind, texts in long.items() if texts}


def planted_texts(seed: int, english: Data, foreign: Data) -> Iterator[PlantedText]:
    """Yields the texts of a world, good ones first."""
    rng = np.random.default_rng([seed, 15])

    def some(texts: list[str], count: int) -> list[str]:
        return [texts[at] for at in rng.choice(len(texts), min(count, len(texts)), replace=False)]

    for kind, texts in english.items():
        for text in some(texts, 250):
            yield PlantedText(text, GOOD, kind)
    for _ in range(100):
        yield PlantedText(" ".join(some(english["web sentence"], 5)), GOOD, "passage")
    for text in DIFFICULT:
        yield PlantedText(text, GOOD, "looks bad")
    for (fault, strength), make in FAULTS.items():
        for text in some(english["description"], 25):
            yield PlantedText(make(text, rng), fault, strength)
    for kind in some(sorted(foreign), 60):
        for text in some(foreign[kind], 5):
            yield PlantedText(text, "wrong_language", kind.partition(",")[0])
    for kind in some(sorted(kind for kind in foreign if kind.startswith("sentence")), 30):
        text = f"{some(english['web sentence'], 1)[0]} {some(foreign[kind], 1)[0]}"
        yield PlantedText(text, "wrong_language", "sentence after an English one")


Make = Callable[[str, np.random.Generator], str]


def _with_symbols(share: float) -> Make:
    """Puts symbols between the words, until they are this share of all characters but blanks."""

    def make(text: str, rng: np.random.Generator) -> str:
        words = text.split()
        count = int(share / (1 - share) * sum(map(len, words)))
        runs = np.array_split(rng.choice(list(SYMBOLS), count), max(1, count // 4))
        for run in runs:
            words.insert(int(rng.integers(len(words) + 1)), "".join(run))
        return " ".join(words)

    return make


def _one_word(times: int) -> Make:
    return lambda text, rng: " ".join([max(text.split(), key=len)] * times)


def _phrase(times: int) -> Make:
    return lambda text, rng: " ".join([" ".join(text.split()[:3])] * times)


def _full_text(times: int) -> Make:
    return lambda text, rng: " ".join([text] * times)


def _looping(times: int) -> Make:
    """A text that goes on with its last four words, as a language model does that has lost its way."""
    return lambda text, rng: " ".join([text, *[" ".join(text.split()[-4:])] * times])


def _file_name(text: str, rng: np.random.Generator) -> str:
    number = int(rng.integers(1000, 9999))
    forms = (
        "IMG_{}.JPG",
        "DSC0{}.jpg",
        "image{}.png",
        "20190{}-WA0001.jpeg",
        "Screenshot_{}.png",
        "photo-{}-large.webp",
    )
    return forms[int(rng.integers(len(forms)))].format(number)


def _url(text: str, rng: np.random.Generator) -> str:
    return f"https://www.{text.split()[-1].strip('.').lower()}.com/images/{int(rng.integers(10**6))}/large.jpg"


def _date(text: str, rng: np.random.Generator) -> str:
    year, month, day, minute = 2000 + int(rng.integers(25)), *(int(number) for number in rng.integers(1, 13, 3))
    forms = (f"{year}-{month:02}-{day:02}", f"{day}.{month}.{year} {minute}:05", f"{month}/{day}/{year}")
    return forms[int(rng.integers(len(forms)))]


def _hex(text: str, rng: np.random.Generator) -> str:
    return rng.bytes(16).hex()


def _keywords(text: str, rng: np.random.Generator) -> str:
    """The same few words in all combinations, as search engines were to be shown."""
    words = [word.strip(".,").lower() for word in text.split() if len(word) > 3][:4] or ["shoes"]
    return ", ".join(" ".join(rng.choice(words, min(2, len(words)), replace=False)) for _ in range(12))


def _boilerplate(text: str, rng: np.random.Generator) -> str:
    forms = (
        "Click to enlarge",
        "Image may contain: 1 person",
        "thumbnail",
        "Photo by Getty Images",
        "Loading...",
        "logo",
    )
    return forms[int(rng.integers(len(forms)))]


FAULTS: dict[tuple[str, str], Make] = {
    **{("mostly_symbols", f"{share:.0%} of the characters"): _with_symbols(share) for share in (0.5, 0.65, 0.8, 0.95)},
    **{("repetitive", f"one word {times} times"): _one_word(times) for times in (6, 12, 30)},
    **{("repetitive", f"three words {times} times"): _phrase(times) for times in (4, 10, 20)},
    **{("repetitive", f"the whole text {times} times"): _full_text(times) for times in (3, 6)},
    **{("repetitive", f"four words {times} times at the end"): _looping(times) for times in (8, 20)},
    ("alt_text", "file name"): _file_name,
    ("alt_text", "URL"): _url,
    ("alt_text", "date"): _date,
    ("alt_text", "digest"): _hex,
    ("alt_text", "keywords"): _keywords,
    ("alt_text", "boilerplate"): _boilerplate,
}
