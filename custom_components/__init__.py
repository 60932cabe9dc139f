"""Custom components, a package for the tests' sake."""
