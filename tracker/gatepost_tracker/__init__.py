"""The tracker: answers the links, images and unsubscribe addresses that the milter writes into messages."""
