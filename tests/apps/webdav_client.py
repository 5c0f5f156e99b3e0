"""In:     the address of a WebDAV server.
Out:    its own methods used: folders, files, properties, locks.
Actors: one client.
Never:  is a step taken for done that was not looked at.
"""

import os
import sys

import requests

url = sys.argv[1]


def ask(method, path, *statuses, **more):
    answer = requests.request(method, url + path, **more)
    assert answer.status_code in statuses, (method, path, answer.status_code, answer.text[:300])
    return answer


assert "1" in ask("OPTIONS", "/", 200).headers["DAV"]
ask("MKCOL", "/folder", 201)
content = os.urandom(2_000_000)
ask("PUT", "/folder/a.bin", 201, data=content)
ask("PUT", "/folder/b.bin", 201, data=iter([b"in ", b"chunks"]))
assert ask("GET", "/folder/a.bin", 200).content == content
assert ask("GET", "/folder/b.bin", 200).content == b"in chunks"
part = ask("GET", "/folder/a.bin", 206, headers={"Range": "bytes=100-199"})
assert part.content == content[100:200]
listing = ask("PROPFIND", "/folder", 207, headers={"Depth": "1"}).text
assert "a.bin" in listing and "b.bin" in listing and "getcontentlength" in listing
ask("COPY", "/folder/a.bin", 201, headers={"Destination": url + "/folder/c.bin"})
ask("MOVE", "/folder/c.bin", 201, headers={"Destination": url + "/moved.bin"})
assert ask("GET", "/moved.bin", 200).content == content
lock = """<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>
<D:locktype><D:write/></D:locktype></D:lockinfo>"""
token = ask("LOCK", "/moved.bin", 200, data=lock).headers["Lock-Token"]
ask("PUT", "/moved.bin", 423, data=b"locked")
ask("UNLOCK", "/moved.bin", 204, headers={"Lock-Token": token})
ask("DELETE", "/folder", 204)
ask("GET", "/folder/a.bin", 404)
print("all done")
