"""Pillow opens and saves .bsq files: turns a GIF, or any other picture file, into one and back.

python pillow_animation.py in.gif out.bsq back.gif
"""

import sys

from PIL import Image

import bsqav.integrations.pillow

bsqav.integrations.pillow.register()

with Image.open(sys.argv[1]) as image:
    image.save(sys.argv[2], save_all=True, quality=75)

with Image.open(sys.argv[2]) as image:
    for number in range(image.n_frames):
        image.seek(number)
        print(number, image.size, image.mode, image.info.get("duration"))
    image.seek(0)
    image.save(sys.argv[3], save_all=True)
