"""Does a synthetic set fit the real one: statistics, gaps with their floor, and a verdict in words."""
