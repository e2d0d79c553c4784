"""What is done once: a shell that knows the commands, a file of settings, a check of the whole."""
