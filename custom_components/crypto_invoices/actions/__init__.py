"""Actions: what a script, an automation or a card can ask for."""
