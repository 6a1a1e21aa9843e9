"""Who breaks the tie of two. So far reference addresses; the quorum disk follows as a kind of its own."""
