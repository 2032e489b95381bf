"""The threads behind the window: preparing, training and exploring, and the mailbox their news arrives in."""
