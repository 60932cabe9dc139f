"""E-Gates Crypto Payments.

Facts: "API Documentation for Retrieving Invoice Data via API", "Creating an
Invoice Using the API" and "Generating Signature and Making API Requests" at
e-gates.gitbook.io. Every merchant has an address of its own.
"""

from .gateway import EGates

__all__ = ["EGates"]
