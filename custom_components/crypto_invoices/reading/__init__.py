"""Reading: when to poll what, what to believe of it, and what to do when it fails.

All of it happens in one place, the reader; everybody else asks it and waits.
"""
