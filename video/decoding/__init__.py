"""Decoding of videos: files and containers, timestamps, frames with their orientation and colours, integrity."""
