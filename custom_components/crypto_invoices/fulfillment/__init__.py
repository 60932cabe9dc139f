"""Fulfillment: what an account owes for its payments, until it is given.

What is owed is in the records. Here it is opened, fulfilled and taken back, and here
automations are run again, or reminded, until it is fulfilled.
"""
