"""`python -m skylapse_processor` is `skylapse-processor`."""

import sys

from .cli import main

sys.exit(main())
