"""Settings of OpenMP's threads and of GNU's allocator, made before any other import.

**Threads.** OpenMP's threads spin while they wait for each other, by default for so long that a divergence trace took
twenty times as long on two cores when another program kept one of them busy. The waits here are many and short: ten
thousand turns see most of them out, and cut the loss to a factor near three. A value that is set already is left alone,
and where OpenMP is not GNU's the variable means nothing.

**Memory.** Energies work on a few MB at a time, over and over. GNU's allocator gives large pieces back to the system
each time, and every page of the next one then costs a fault: up to half the time of a Hessian-vector product. So it is
told to keep half a GB for the next round, unless the caller's environment has told it something already. Other
allocators are left as they are.

With MFMGDM_TUNE=0 in the environment neither is touched.
"""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # the names M_… of malloc.h

if os.environ.get("MFMGDM_TUNE") != "0":
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if not any(name.startswith("MALLOC_") for name in os.environ):
        try:
            _mallopt = ctypes.CDLL(None).mallopt
        except (AttributeError, OSError, TypeError):  # another allocator, or another system
            pass
        else:
            _mallopt(_MMAP_THRESHOLD, 2**25)
            _mallopt(_TRIM_THRESHOLD, 2**29)
