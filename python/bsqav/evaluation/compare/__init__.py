"""`bsqav compare`: BSQ and reference encoders, rate-distortion points, reports."""
