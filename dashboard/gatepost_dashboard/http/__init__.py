"""What every answer has in common: headers, bounds, problem details, whom a request comes from."""
