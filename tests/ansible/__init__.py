"""The Ansible collection against real systemd hosts (containers), from bare images to mail that arrives."""
