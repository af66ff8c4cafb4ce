"""Keys of vectors."""

from __future__ import annotations

from mining.vector_keys import VectorKeys


def test_a_key_changes_with_all_that_a_vector_depends_on_and_with_nothing_else() -> None:
    encoder = {
        "encoder": "rzenembed",
        "revision": "r1",
        "positions": "flat",
        "min_pixels": 3136,
        "max_pixels": 1003520,
        "dimension": 3584,
    }
    row = {"content_ids": [b"a" * 16, b"b" * 16], "text": "a cat", "instruction": "Find it."}
    others = [
        {"encoder": "gme"},
        {"revision": "r2"},
        {"positions": "mrope"},
        {"min_pixels": 3137},
        {"max_pixels": 1003521},
        {"dimension": 256},
        {"dtype": "float32"},
        {"text": "a cat "},
        {"instruction": "Find it"},
        {"instruction": "Find it.a", "text": " cat"},
        {"content_ids": [b"b" * 16, b"a" * 16]},
        {"content_ids": [b"a" * 16]},
        {"content_ids": [b"a" * 16 + b"b" * 16]},
        {"content_ids": []},
        {"is_clip": True},
        {"is_mirrored": True},
        {"is_clip": True, "is_mirrored": True},
    ]

    def key(**changed: object) -> bytes:
        part = {name: changed.get(name, value) for name, value in {**encoder, "dtype": "float16"}.items()}
        return VectorKeys(**part).key(**{**row, **{name: value for name, value in changed.items() if name not in part}})

    keys = [key(), *(key(**change) for change in others)]
    assert len(set(keys)) == len(others) + 1
    assert all(len(each) == 16 for each in keys)
    assert key() == keys[0] == VectorKeys(**encoder).key(**row)
    assert keys[0].hex() == "f5d513269d9b567c7eda04f3e6043140"
