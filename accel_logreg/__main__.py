"""``python -m accel_logreg`` is ``accel-logreg``."""

import sys

from accel_logreg.cli.main import main

sys.exit(main())
