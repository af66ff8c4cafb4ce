"""Long videos: decoding, scene detection, clips with their frames and mp4 files, groups of hard negatives, windows."""
