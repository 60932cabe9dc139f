"""Delivery: an announcement is done when each automation that was to hear it has heard it.

Independent of the loaded account: its reload announces nothing twice, and how deliveries
end is written into whichever book is loaded then.
"""
