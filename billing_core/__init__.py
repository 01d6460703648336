"""What does this customer owe, and why? Pure values and functions.

Nothing here reads a file, a clock, the environment or a random number: the same
values in give the same values out, byte for byte. `RULES.md` lists the rules.
"""
