"""Docks of the window: each shows one thing of the session and does nothing while hidden."""
