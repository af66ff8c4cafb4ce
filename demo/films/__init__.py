"""The demo's films: shots, frame numbers, files and annotations."""
