"""People who sign in: ``users`` made and changed by operators, ``signing_in`` by themselves."""
