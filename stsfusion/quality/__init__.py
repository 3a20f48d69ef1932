"""How good an answer is: metrics with their conventions, and tables of scores."""
