"""One file for each kind of source: how its rows come into the workspace."""
