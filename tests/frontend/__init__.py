"""The cards, from the side of Home Assistant."""
