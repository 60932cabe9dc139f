"""The book: which invoices of an account are watched, and what became of them.

The only place that knows it. In memory it is ahead of the disk until the commit that
contains it; everything else (schedule, entities, devices, sums) is derived from it.
"""
