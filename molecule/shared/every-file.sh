find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root -o -path /var/tmp \
    -o -path /var/log/journal -o -path /var/lib/systemd \) -prune -o -not -name '*-' -not -type d -printf '%p %y %m %u %g %l\n' | sort
