"""The house rule for threads, set before torch is first imported: who waits long, sleeps.

OpenMP's threads spin while they wait for each other, by default for so long that a divergence trace took twenty times
as long on two cores when another program kept one of them busy. The waits here are many and short: ten thousand turns
see most of them out, and cut the loss to a factor near three. A value that is set already is left alone, and where
OpenMP is not GNU's the variable means nothing.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "10000")
