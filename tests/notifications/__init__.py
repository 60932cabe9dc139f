"""Tests of how providers reach us."""
