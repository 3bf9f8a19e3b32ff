"""Releases: the single file a release travels in, and how one takes the place of another.

The parts that run before anything is installed or updated use the standard library only.
"""
