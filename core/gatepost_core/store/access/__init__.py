"""Who may use the API, what was changed by whom, and what was asked for twice; in the directory."""
