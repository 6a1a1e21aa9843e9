"""servha-guardd, the arbitration daemon: the only process that writes the quorum disk and feeds the watchdog.

main.py         arguments, and what makes the process survive a busy machine
loop.py         the only clock: events in, effects out; decides nothing (core/guard.py does)
partner.py      servhad: its socket and its process
disk_thread.py  rounds on the quorum disk, which may hang
leash.py        the watchdog: armed, fed, handed on, let go
emergency.py    ends everything of every tree, without grace
memory.py       what a successor in the same boot needs, in /run
systemd.py      readiness, and the watchdog's descriptor kept over a restart
journal.py      lines for the system journal, which may hang too
"""
