"""The cards of a dashboard, and what they are sent.

The cards themselves are in the folder ``cards``: plain ES modules that the frontend loads as
they are.
"""
