"""`make dist`: the offline installer and the Debian package, made of this tree and of pinned wheels."""
