"""`python -m skylapse_bridge`."""

import sys

from .cli import main

sys.exit(main())
