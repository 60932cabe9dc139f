"""Tests of the providers, which know nothing of Home Assistant."""
