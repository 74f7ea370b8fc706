"""Tables: all that has rows as one frame or one Arrow table, and the files that they become."""
