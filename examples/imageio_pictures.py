"""imageio writes and reads a still, an animation and a video.

python imageio_pictures.py FOLDER
"""

import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np

import bsqav.integrations.imageio

bsqav.integrations.imageio.register()

folder = Path(sys.argv[1])
y, x = np.mgrid[:96, :128]
pictures = np.stack([np.stack([x + 8 * n, y, x + y], axis=-1) for n in range(10)]).astype(np.uint8)

iio.imwrite(folder / "still.bsq", pictures[0], crf=35)
iio.imwrite(folder / "animation.bsq", pictures, duration=100, loop=0)
iio.imwrite(folder / "video.mkv", pictures, plugin="bsqav", fps=25)

print(iio.imread(folder / "still.bsq").shape)
print(iio.imread(folder / "animation.bsq", index=7).shape)
for picture in iio.imiter(folder / "video.mkv", plugin="bsqav"):
    print(picture.mean())
print(iio.immeta(folder / "video.mkv", plugin="bsqav"))
