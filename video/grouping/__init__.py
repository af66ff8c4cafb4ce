"""Clips of a video as each other's hard negatives: near duplicates, groups, named negatives."""
