"""What pages show beside objects: counts and rates, how full limits are, names to choose from."""
