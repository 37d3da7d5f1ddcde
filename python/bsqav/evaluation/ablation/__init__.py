"""Two builds or settings of BSQ compared with each other: the log is docs/ablations.md."""
