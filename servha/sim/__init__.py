"""The whole cluster in virtual time: the daemon's own core on both nodes, the hardware simulated."""
