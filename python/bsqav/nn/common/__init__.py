"""What the networks of codec and paper share."""
