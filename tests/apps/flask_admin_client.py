"""In:     the address of a Flask-Admin.
Out:    a person added, changed, found and deleted; a file uploaded and read.
Actors: one session of a person.
Never:  is a step taken for done that was not looked at.
"""

import os
import sys

import requests

url = sys.argv[1]
session = requests.Session()


def get(path, **more):
    answer = session.get(url + path, **more)
    answer.raise_for_status()
    return answer


def post(path, **more):
    answer = session.post(url + path, **more)
    answer.raise_for_status()
    return answer


assert "people" in get("/admin/").text
for path in ["/admin/static/admin/css/bootstrap4/admin.css", "/admin/static/vendor/jquery.min.js"]:
    assert len(get(path).content) > 500, path
post("/admin/person/new/?url=/admin/person/", data={"name": "Zoë", "age": "33"})
page = get("/admin/person/").text
assert "Zoë" in page and "33" in page
post("/admin/person/edit/?id=1", data={"name": "Zoë", "age": "34"})
assert "34" in get("/admin/person/?search=zo").text
content = os.urandom(300_000)
post("/admin/fileadmin/upload/", files={"upload": ("a photo.bin", content)})
assert get("/admin/fileadmin/download/a_photo.bin").content == content
post("/admin/person/delete/", data={"id": "1", "url": "/admin/person/"})
assert "Zoë" not in get("/admin/person/").text
print("all done")
