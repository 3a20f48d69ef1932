"""From a recipe to a report."""
