"""Publishing selects and orders the pairs of a workspace, and writes them to a corpus: tars and a manifest."""
