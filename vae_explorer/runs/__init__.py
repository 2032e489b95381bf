"""What a run leaves on disk: its folder, its recorder, its checkpoints. `files` is the one module that writes."""
