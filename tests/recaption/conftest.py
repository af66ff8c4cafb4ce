from __future__ import annotations

from collections.abc import Iterator

import pytest

from recaption import captioner
from tests.helpers.caption_shards import Script, Scripted, Use


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Use]:
    """Put a scripted captioner in the place of a model."""
    made: list[Scripted] = []

    def with_script(script: Script) -> Scripted:
        made.append(Scripted(script))
        monkeypatch.setattr(captioner, "open_client", lambda settings, images: made[-1])
        return made[-1]

    yield with_script
    for scripted in made:
        scripted.close()
