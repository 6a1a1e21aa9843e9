"""Two real nodes on one machine: `servha lab`.

lab          a whole lab, by its name: start reading here
node         power button, pause, shell and services of one node
layout       where everything is and what it is called
switch, cuts             the network between the nodes and what is cut of it
disk, node_disk          shared disks, and what a node's own disk holds at first
machine, power, watchdog the hardware of a node: what ends it, from inside and from outside
node_root, init, service, journal, control    the node's inside: file system, process 1, services
probe        the client outside that measures how long nobody answered
app          the small web application that is kept running
demo, commands           what the command line shows
"""
