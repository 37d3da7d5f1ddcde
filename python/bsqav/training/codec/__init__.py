"""Training of the codec's networks: data, closed-loop rollouts, objective, loop."""
