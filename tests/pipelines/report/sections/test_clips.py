"""Groups of clips are film strips in the order of time."""

from __future__ import annotations

import re

from pipelines.report.sections.clips import clips_section, clock
from tests.helpers.html_parts import read_html
from tests.helpers.report_worlds import ReportedWorld


def test_a_strip_has_frames_times_and_texts(reported: ReportedWorld) -> None:
    section = read_html(clips_section(reported.context))
    groups = [card for card in section.all("section", "card") if card.all("h3")[0].text.startswith("A group")]
    assert groups
    texts = [part.text for film in reported.films.films for part in film.parts]
    for group in groups:
        starts = []
        for figure in group.all("figure"):
            assert 2 <= len(figure.all("img")) <= 6
            [minutes, seconds] = re.findall(r", (\d+):([\d.]+) to ", figure.all("figcaption")[0].text)[0]
            starts.append(60 * int(minutes) + float(seconds))
            assert figure.all("p")[-1].text.startswith("Dummy caption of 8 frames")
            if figure.attributes["data-first"] == "original":
                assert figure.all("p")[0].text in texts
        assert starts == sorted(starts) and len(set(starts)) == len(starts)


def test_times_are_those_of_a_player() -> None:
    assert [clock(each) for each in (0.0, 9.96, 65.0, 3_725.5, None)] == ["0:00", "0:10", "1:05", "62:05.5", "0:00"]
