"""Publishing: which pairs of the workspace make a corpus, in which order, and the tars and manifest that hold them."""
