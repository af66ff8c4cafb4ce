"""The counts that mining must report follow from the planted pairs alone."""

from __future__ import annotations

from pathlib import Path

from demo.pairs.truth import ExpectedSet, FalseNegative, Pair, SetSide, SetsTruth, read_sets_truth, write_truth


def test_counts_of_candidates_follow_from_the_pairs(tmp_path: Path) -> None:
    a, b, c, d = map(SetSide, "abcd")
    false = FalseNegative(b, "same_cluster"), FalseNegative(SetSide("e"), "above_relative", existing=True)
    planted = ExpectedSet()
    planted.keep(Pair(SetSide("q"), a, (SetSide("x"),), hard=(c, d), false=false))
    planted.keep(Pair(SetSide("r"), b, hard=(c,)))
    planted.keep(Pair(SetSide("s"), c))
    planted.keep(Pair(SetSide("t"), d))
    expected = {
        **{"own_positive": 4, "same_cluster": 1, "given/above_relative": 1, "chosen": 3, "spare": 0},
        **{"given": 1, "given/chosen": 1, "given/candidates": 2, "candidates": 16, "below_min_score": 16 - 4 - 1 - 3},
    }
    assert planted.mining_counts(2) == {**expected, "mined": 2, "missing": 8 - 1 - 2}
    of_one = {**expected, "chosen": 2, "spare": 1, "mined": 1, "missing": 2}
    assert planted.mining_counts(1) == of_one
    write_truth(tmp_path / "truth.json", SetsTruth({"one": planted}, {}, {}))
    assert read_sets_truth(tmp_path / "truth.json").sets["one"] == planted
