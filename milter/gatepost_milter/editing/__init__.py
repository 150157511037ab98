"""A message and its changes as plain values: header fields, edits of ranges, the plan."""
