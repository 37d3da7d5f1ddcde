"""`bsqav bench`: how fast the codec and its parts are, beside their peers, in one run.

Every part times its variants in turn, repeat by repeat, so that what else the machine does falls on
all of them alike; it gives medians with the lowest and highest, and a peer whose package is not
installed is named in a note.
"""
