"""The demonstration: a small web application that says which node answers."""
