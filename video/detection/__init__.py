"""Scene detection: hard cuts, fades, dissolves, flashes, changes of slides."""
