"""The operator's side of a cluster: changes of the desired state, and the proof that they are in force."""
