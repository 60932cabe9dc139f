"""The simulator: a whole shop for weeks, in a real Home Assistant, in virtual time, from a seed."""
