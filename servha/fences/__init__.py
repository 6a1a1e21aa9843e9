"""Making sure that who must not write any more cannot: the watchdog, reservations on disks."""
