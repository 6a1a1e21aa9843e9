"""What an operator types: `servha ...`. Asks the daemon, shows its answer; decides nothing about the cluster."""
