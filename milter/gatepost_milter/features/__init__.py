"""One module a feature: each looks at a scanned HTML part and returns edits of its text."""
