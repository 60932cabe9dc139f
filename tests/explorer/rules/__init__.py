"""What may happen, by whom or what does it."""
