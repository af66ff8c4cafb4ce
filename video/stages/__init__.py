"""The stages of videos: clips, groups of clips, windows of clips."""
