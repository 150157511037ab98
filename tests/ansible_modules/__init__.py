"""The collection's modules, run as Ansible runs them, against real Postfix configuration directories."""
