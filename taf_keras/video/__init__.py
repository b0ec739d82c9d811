"""Frames out of videos: decoded, matched to key frames, written."""
