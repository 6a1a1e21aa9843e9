"""servwebd: the web console's server. It shows and passes on; who may do what is decided by servhad."""
