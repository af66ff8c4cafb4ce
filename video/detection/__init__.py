"""Where scenes end: hard cuts, fades, dissolves, changes of slides."""
