"""Tests of reading: when what is polled, and what is believed of it."""
