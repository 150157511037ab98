"""Style sheets: read by the rules of CSS Syntax and Selectors, and calculated within a budget."""
