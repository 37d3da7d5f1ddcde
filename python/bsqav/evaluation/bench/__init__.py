"""`bsqav bench`: speed of the codec and its parts, compared with reference encoders.

Every part times its variants in turn, repeat by repeat, so that what else the machine does falls on
all of them alike; it gives medians with the lowest and highest, and a reference whose package is
not installed is named in a note.
"""
