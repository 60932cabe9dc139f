"""Upkeep: what runs beside the reading of an account."""
