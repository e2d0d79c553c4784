"""The services of the demo: ordinary web applications that know the public API of clusterlog and nothing else of it."""
