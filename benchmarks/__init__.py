"""Each module measures this project against a peer on the same work, in one run."""
