"""Tests of what runs beside the watching."""
