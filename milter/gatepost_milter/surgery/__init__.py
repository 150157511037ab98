"""What features work on and with: what a feature is, who asks it, what it is told, and pages."""
