from pipelines.fetch.headers import opt_out
from tests.helpers.cases import cases


@cases(
    ("headers", "found"),
    [
        ([], None),
        (["noai"], "noai"),
        (["noimageai"], "noimageai"),
        (["noindex"], "noindex"),
        (["noimageindex"], "noimageindex"),
        (["none"], "none"),
        (["all"], None),
        (["nofollow, noarchive"], None),
        (["nofollow, NoAI"], "noai"),
        (["nofollow", "noindex"], "noindex"),
        (["rzen-corpus: noai"], "noai"),
        (["RZEN-Corpus:noai"], "noai"),
        (["*: noai"], "noai"),
        (["otherbot: noindex"], None),
        (["otherbot: nofollow, noindex"], None),
        (["otherbot: noindex, rzen-corpus: noai"], "noai"),
        (["otherbot: noindex", "noai"], "noai"),
        (["rzen-corpus: nofollow, otherbot: noindex"], None),
        (["rzen-corpus-2: noindex"], None),
        (["max-snippet: 20, noindex"], "noindex"),
        (["max-image-preview: large"], None),
        (["unavailable_after: Sat, 25 Jun 2010 15:00:00 PST, noindex"], "noindex"),
        (["otherbot: unavailable_after: 25 Jun 2010 15:00:00 PST, noindex"], None),
        (["noindexing"], None),
        (["", ",,:, :", ": noindex"], None),
        (["\udcff: noindex, \x00"], None),
    ],
)
def test_directives(headers, found):
    assert opt_out(headers, "rzen-corpus") == found
