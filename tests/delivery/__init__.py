"""Tests of how announcements reach automations."""
