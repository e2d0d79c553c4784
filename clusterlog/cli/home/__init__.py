"""A home at hand: spools delivered, store and cluster opened, for every command that asks or tells of them."""
