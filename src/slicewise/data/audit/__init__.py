"""What is wrong with a data set before anybody trains on it."""
