"""The window. The only package that imports PySide6 or pyqtgraph.

Nothing imported before the first paint imports torch: what panels show comes from worker threads, as numpy.
"""
