"""Clips, programs and caches that the measurements use."""
