"""What shall be: rules, whom they mean, and the levels that follow from them. Pure: the clock is passed in."""
