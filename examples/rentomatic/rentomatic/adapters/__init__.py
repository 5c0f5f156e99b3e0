"""Implementations of the room repository port."""
