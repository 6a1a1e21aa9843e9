"""Bytes <-> core values, for the network and for the quorum disk. Pure: no socket, no clock, no chance."""
