"""How much is sent, when, and of what first: rules without clock, chance or network of their own."""
