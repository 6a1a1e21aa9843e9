"""ServHA keeps one application running on one of two servers.

core       decides, and touches nothing: events in, effects out; start reading at core/rules.py
wire       bytes <-> core values, for the network and for the quorum disk
config     files -> frozen configuration, or every problem in words
host       the port to this machine: programs, netlink, /proc, systemd
links, arbiters, resources, detectors, ...   one file for each kind of thing
daemon     servhad: one loop that runs the core and carries out what it asks for
sim        the same core with simulated hardware in virtual time
lab        two real nodes on one machine, in network namespaces
cli        `servha ...`, what an operator types
"""

__version__ = "0.1.0"
