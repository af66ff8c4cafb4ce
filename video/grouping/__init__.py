"""Groups of clips that are each other's hard negatives: near duplicates, groups, negatives that are named in pairs."""
