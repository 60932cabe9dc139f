"""Tests of the Crypto Invoices integration."""
