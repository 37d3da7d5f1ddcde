"""PyTorch's DataLoader reads runs of pictures at random places of BSQ files.

python data_loader.py a.mkv b.mkv ...
"""

import sys

import torch

from bsqav.integrations.dataset import FrameDataset


def scaled(run):
    """[T, 3, H, W] of bytes to numbers from 0 to 1."""
    return torch.from_numpy(run).float() / 255


if __name__ == "__main__":
    dataset = FrameDataset(sys.argv[1:], length=4, transform=scaled)
    loader = torch.utils.data.DataLoader(dataset, batch_size=2, shuffle=True, num_workers=1)
    for batch in loader:
        print(tuple(batch.shape), float(batch.mean()))
