"""In:     -
Out:    WsgiDAV over a directory, for anybody, as its own documents have it.
Actors: none.
Never:  does it know of hallway.
"""

import os

from wsgidav.wsgidav_app import WsgiDAVApp

os.makedirs("shared", exist_ok=True)
app = WsgiDAVApp(
    {"provider_mapping": {"/": os.path.abspath("shared")}, "simple_dc": {"user_mapping": {"*": True}}, "verbose": 1}
)
