"""In:     the address of a Django site.
Out:    its admin used: log in, add, upload, change, log out.
Actors: one session of a person, who sends every form as the page has it.
Never:  is a step taken for done that was not looked at.
"""

import os
import re
import sys

import requests

url = sys.argv[1]
session = requests.Session()


def get(path):
    answer = session.get(url + path)
    answer.raise_for_status()
    return answer


def send(path, data, **more):
    """Sends the form on a page with its token."""
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', get(path).text).group(1)
    answer = session.post(url + path, data={"csrfmiddlewaretoken": token, **data}, headers={"Referer": url + path}, **more)
    answer.raise_for_status()
    return answer


assert get("/admin/").url.endswith("/admin/login/?next=/admin/")
css = get("/static/admin/css/base.css")
assert css.headers["Content-Type"].startswith("text/css") and css.headers["ETag"]
wrong = send("/admin/login/?next=/admin/", {"username": "anna", "password": "wrong"})
assert "Please enter the correct username" in wrong.text
page = send("/admin/login/?next=/admin/", {"username": "anna", "password": "a story's own"})
assert "Site administration" in page.text
plan = os.urandom(3_000_000)
page = send("/admin/shop/room/add/", {"name": "Küche"}, files={"plan": ("plan.bin", plan)})
assert "was added successfully" in page.text and "Küche" in page.text
assert open("media/plans/plan.bin", "rb").read() == plan
page = send("/admin/shop/room/1/change/", {"name": "Keller"})
assert "was changed successfully" in page.text and "Keller" in page.text
page = send("/admin/shop/room/1/delete/", {"post": "yes"})
assert "was deleted successfully" in page.text
token = session.cookies["csrftoken"]
page = session.post(url + "/admin/logout/", data={"csrfmiddlewaretoken": token}, headers={"Referer": url})
assert "Logged out" in page.text
assert "/admin/login/" in get("/admin/").url
print("all done")
