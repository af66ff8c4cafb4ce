"""Parses strings that hold a Python list of strings, as `str(list)` writes it, without trusting them.

mmE5's own reader gives such strings to `eval`; it takes what is no list for a list of one, and needs entries that are
strings, so that no list lies in a list.
"""

from __future__ import annotations

import ast
import re
import warnings

from pipelines.sources.json_records import BadRecordError, text_of

MAX_CHARACTERS = 200_000
MAX_ENTRIES = 1000

# Quantifiers are possessive (*+): nothing is tried twice, whatever the string.
_STRING = r"""(?:'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+")"""
_LIST = re.compile(rf"\[\s*+(?:{_STRING}\s*+(?:,\s*+{_STRING}\s*+)*+,?\s*+)?\]|{_STRING}")


def string_list(text: str, name: str) -> list[str]:
    """Parses a list of strings, or one string, that is written as Python writes it; "" is the empty list.

    Only brackets, commas and quoted strings are let through to `ast.literal_eval`: neither depth nor numbers can grow.
    Raises BadRecordError for all else, for strings that are no Unicode, and for more than MAX_CHARACTERS or
    MAX_ENTRIES.
    """
    text = text.strip()
    if not text:
        return []
    if len(text) > MAX_CHARACTERS:
        raise BadRecordError("bad_list", f"{name} has {len(text)} characters")
    if not _LIST.fullmatch(text):
        raise BadRecordError("bad_list", f"{name} holds no list of strings: {text[:60]!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes such as "\d", which Python takes as they are
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise BadRecordError("bad_list", f"{name} holds no list of strings: {error}") from None
    values = [value] if isinstance(value, str) else value
    if len(values) > MAX_ENTRIES:
        raise BadRecordError("bad_list", f"{name} has {len(values)} entries")
    return [text_of(each) for each in values]
