"""What both trainers share: checkpoints, journal, devices, sharding."""
