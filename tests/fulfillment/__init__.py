"""Tests of what is owed for payments."""
