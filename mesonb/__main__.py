"""``python -m mesonb`` is ``mesonb``."""

import sys

from mesonb.cli import main

sys.exit(main())
