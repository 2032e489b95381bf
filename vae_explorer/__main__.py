"""`python -m vae_explorer` does what the installed command `vae-explorer` does."""

from __future__ import annotations

import sys

from vae_explorer.cli import main

if __name__ == "__main__":
    sys.exit(main())
