"""The explorer: every order of events, in a real Home Assistant, in virtual time."""
