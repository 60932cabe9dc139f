"""Notifications: how providers reach Home Assistant, and what they say is only ever a hint."""
