from pipelines.fetch.answer import printable


def test_printable_is_short_ascii_whatever_came():
    assert printable("image/jpeg") == "image/jpeg"
    assert printable("ä\udcff\u2028") == "\\xe4\\udcff\\u2028"
    assert len(printable("x" * 1000)) == 200
