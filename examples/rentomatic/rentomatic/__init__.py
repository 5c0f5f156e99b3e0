"""Rent-o-Matic: rooms by the night, arranged as a clean architecture."""
