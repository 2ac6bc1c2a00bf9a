"""What a test grants a machine that is busy with other things."""

BUSY_S = 3.0
"""Added to a deadline that is measured: for so long may other work keep a process from running.

What the test tells apart, such as an answer from a wait without end, has to lie further away.
"""
