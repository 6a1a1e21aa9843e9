"""servhad: the shell that runs the core on a real machine, and the only clock it has."""
