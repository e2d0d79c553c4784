"""What a shipper says itself: that instances live, how they ended, and what a store refused."""
