"""Reading containers, numbered images and `.bsq` files as packets."""
