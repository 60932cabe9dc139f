"""The cards as those see them who pay, sell and keep the shop."""
