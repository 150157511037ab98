"""Messages in Postfix's hold queue: which (``held``), and what is to be done with them (``orders``)."""
