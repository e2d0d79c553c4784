"""Found by every Python under ``clusterlog run``: runs the ``sitecustomize`` it shadows, then takes the process on.

Other Pythons may find it as well, so it says nothing where clusterlog cannot be imported, and uses nothing that only a
new Python has. What the shadowed module raises is reported by ``site``, as ever.
"""

import os
import sys
from importlib.machinery import PathFinder

_here = os.path.realpath(os.path.dirname(__file__))
_spec = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if os.path.realpath(entry) != _here])
try:
    if _spec is not None and _spec.loader is not None:
        from importlib.util import module_from_spec

        sys.modules["sitecustomize"] = _module = module_from_spec(_spec)
        _spec.loader.exec_module(_module)
finally:
    try:
        from clusterlog.integrations.launch import begin
    except ImportError:
        pass
    else:
        begin()
