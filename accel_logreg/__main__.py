"""``python -m accel_logreg`` is ``accel-logreg``."""

import sys

from accel_logreg.cli import main

sys.exit(main())
