"""Long videos: reading and probing them, scenes, clips, frames, groups."""
